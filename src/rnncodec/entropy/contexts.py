"""The context models, by name: their options, and the form that codes files. Needs no torch.

To add one: give it a config in `rnncodec.entropy.config`, a network (`rnncodec.entropy.networks`) and a
context model in integers like `rnncodec.entropy.checkerboard_integers`; name them in the two registries; and add a
file to ``conf/context``. A network that only measures bits needs no context model in integers.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncodec.entropy.checkerboard_integers import CheckerboardContext
from rnncodec.entropy.config import BinaryRNNConfig, CheckerboardConfig, ContextConfig, RecurrentCheckerboardConfig
from rnncodec.entropy.interface import ContextModel
from rnncodec.entropy.recurrent_checkerboard_integers import RecurrentCheckerboardContext
from rnncodec.errors import ConfigurationError, ModelError


class ContextKind(NamedTuple):
    """A kind of context model: its options, and the class that codes files. None if it computes in floating point: then
    it measures bits, and codes no files."""

    config: type[ContextConfig]
    context: type[CheckerboardContext] | type[RecurrentCheckerboardContext] | None


CONTEXTS = {
    kind.config.name: kind
    for kind in (
        ContextKind(CheckerboardConfig, CheckerboardContext),
        ContextKind(RecurrentCheckerboardConfig, RecurrentCheckerboardContext),
        ContextKind(BinaryRNNConfig, None),
    )
}


def context_config(options: Mapping[str, Any]) -> ContextConfig:
    """The config of the context model that ``options["name"]`` names, from the other options. The first weights files
    have no name: their model is the checkerboard.

    Raises:
        ConfigurationError: there is no such model, or an option has a wrong value.
    """
    others = dict(options)
    name = others.pop("name", CheckerboardConfig.name)
    if name not in CONTEXTS:
        raise ConfigurationError(f"unknown context model '{name}'; choose from {', '.join(CONTEXTS)}")
    return CONTEXTS[name].config.from_mapping(others)


def tensor_shapes(config: ContextConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors of a context model with this config, by name, found without making them. Their dtypes
    are `rnncodec.entropy.checkerboard_integers.TYPES`. Raises ModelError if the model codes no files."""
    shapes: dict[str, tuple[int, ...]] = context_class(config).shapes(config)
    return shapes


def context_model(config: ContextConfig, tensors: Mapping[str, Any]) -> ContextModel:
    """The context model with these options and ``tensors``, as a weights file holds them.

    Raises:
        ModelError: the model codes no files, or the tensors are not those of such a model.
    """
    made: ContextModel = context_class(config)(config, tensors)
    return made


def context_class(config: ContextConfig) -> Any:
    """The class that codes files under a context model with this config. Raises ModelError if the model codes none."""
    found = CONTEXTS[config.name].context
    if found is None:
        raise ModelError(f"the context model {config.name} computes in floating point, and codes no files")
    return found
