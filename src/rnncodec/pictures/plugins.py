"""Formats that Pillow reads with plugins, which are packages of their own."""

import functools
import importlib
from contextlib import suppress
from importlib.util import find_spec

# By the extra of this package that installs it: the name of the plugin, and the endings of its files.
PLUGINS = {
    "heif": ("pillow_heif", (".heic", ".heif", ".hif")),
    "jxl": ("pillow_jxl", (".jxl",)),
}
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL ")


@functools.cache
def register_plugins() -> None:
    """Let Pillow open the formats of PLUGINS whose plugins are installed."""
    with suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    with suppress(ImportError):
        importlib.import_module("pillow_jxl")  # it registers itself


def plugin_for_name(suffix: str) -> str | None:
    """What to install so that files with this ending can be read; None for other files."""
    return next((_install(extra) for extra, (_, suffixes) in PLUGINS.items() if suffix in suffixes), None)


def plugin_for_content(start: bytes) -> str | None:
    """What to install so that a file that begins with these bytes, at least 12, can be read; None for other files."""
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS:
        return _install("heif")
    return _install("jxl") if start.startswith(JXL_STARTS) else None


def _install(extra: str) -> str | None:
    """How to install the plugin of an extra; None if it is there."""
    return f"pip install 'rnncodec[{extra}]'" if find_spec(PLUGINS[extra][0]) is None else None
