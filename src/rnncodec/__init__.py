"""Recurrent, progressive image compression.

data = rnncodec.compress("photo.jpg")        # bytes, to be cut anywhere
image = rnncodec.decompress(data[:20_000])   # a PIL image
codec = rnncodec.load_model("light")         # the network, an nn.Module
"""

import importlib
from typing import TYPE_CHECKING, Any

from rnncodec.errors import RnncodecError

if TYPE_CHECKING:
    from rnncodec.compression import compress
    from rnncodec.decompression import decompress, decompress_layers
    from rnncodec.model_file import load_model
    from rnncodec.publishing import push_to_hub

__all__ = ["RnncodecError", "compress", "decompress", "decompress_layers", "load_model", "push_to_hub"]

_HOMES = {
    "compress": "compression",
    "decompress": "decompression",
    "decompress_layers": "decompression",
    "load_model": "model_file",
    "push_to_hub": "publishing",
}


def __getattr__(name: str) -> Any:
    """Imports functions that need torch only when they are used, so that commands without a network start fast."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"rnncodec.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'rnncodec' has no attribute '{name}'")
