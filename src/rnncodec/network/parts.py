"""The parts of a network that can be chosen: those of rnncodec by name, those of other packages by their class.

A part without options is its name, as in ``"gru"``. A part with options is a mapping: of rnncodec with ``name``, as in
``{"name": "associative_lstm", "copies": 8}``; of another package with ``_target_``, the path of its class, as in
``{"_target_": "mypackage.cells.MyCell", "depth": 2}``.

A weights file is data, and may come from a stranger. So a class that it names is imported only where its package is
allowed: by `allow`, or by the environment variable RNNCODEC_PACKAGES, with commas between several packages.
"""

import importlib
import inspect
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from rnncodec.errors import ConfigurationError, PackageError

Part = str | Mapping[str, Any]

VARIABLE = "RNNCODEC_PACKAGES"
CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")  # the path of a class, with its package

_allowed: set[str] = set()


def allow(packages: Iterable[str]) -> None:
    """Let networks have parts of these packages, in this process. To name a package means that its code may run."""
    _allowed.update(packages)


def package(part: Part) -> str | None:
    """The other package that ``part`` needs; None for a part of rnncodec."""
    return None if isinstance(part, str) or "_target_" not in part else str(part["_target_"]).partition(".")[0]


def is_allowed(package: str) -> bool:
    """Whether networks may have parts of ``package``."""
    return package in _allowed or package in os.environ.get(VARIABLE, "").split(",")


def checked(option: str, part: Any, own: Mapping[str, type[nn.Module]]) -> Part:
    """``part`` in its shortest form: options of a part of rnncodec that have their default value are left out. Nothing
    is imported.

    Args:
        option: of the network, for messages.
        own: the parts of rnncodec, by name.

    Raises:
        ConfigurationError: there is no such part, or it has no such option.
    """
    options = {"name": part} if isinstance(part, str) else dict(part) if isinstance(part, Mapping) else {"name": part}
    if "_target_" in options:
        target = options["_target_"]
        if not (isinstance(target, str) and CLASS.fullmatch(target)):
            raise ConfigurationError(f"{option}: _target_ must be a class with its package, not {target}")
        try:
            json.dumps(options)
        except (TypeError, ValueError):
            raise ConfigurationError(f"{option}: options of {target} must be plain values") from None
        return options
    name = options.pop("name", None)
    if not (isinstance(name, str) and name in own):
        raise ConfigurationError(f"unknown {option} '{name}'; choose from {', '.join(own)}")
    known = inspect.signature(own[name]).parameters
    if unknown := set(options) - {each.name for each in known.values() if each.default is not each.empty}:
        raise ConfigurationError(f"unknown options of {option} {name}: {', '.join(sorted(map(str, unknown)))}")
    options = {each: value for each, value in options.items() if value != known[each].default}
    return {"name": name, **options} if options else name


def make(part: Part, own: Mapping[str, type[nn.Module]], *arguments: Any, **named: Any) -> Any:
    """A new part, as the class of ``part`` makes it from ``arguments``, ``named`` and its own options.

    Raises:
        PackageError: its package is not allowed, cannot be imported or lacks the class.
        ConfigurationError: the options do not fit the class.
    """
    if isinstance(part, str):
        return own[part](*arguments, **named)
    options = dict(part)
    name = options.pop("_target_", None)
    kind = own[options.pop("name")] if name is None else imported(name)
    try:
        return kind(*arguments, **named, **options)
    except TypeError as error:
        raise ConfigurationError(f"{name or kind.__name__} cannot be made from its options: {error}") from None


def imported(target: str) -> type[nn.Module]:
    """The class of another package that ``target`` names. Raises PackageError."""
    needed, (module, _, name) = target.partition(".")[0], target.rpartition(".")
    if not is_allowed(needed):
        raise PackageError(
            f"the model needs {target} of the package {needed}; if you trust this package, set {VARIABLE}={needed}"
        )
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise PackageError(f"the model needs {target}, which cannot be imported: {error}") from None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise PackageError(f"the model needs {target}, which is no class of modules of torch")
    return found
