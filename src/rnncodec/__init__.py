"""Recurrent, progressive image compression.

data = rnncodec.compress("photo.jpg")        # bytes, to be cut anywhere
image = rnncodec.decompress(data[:20_000])   # a PIL image
codec = rnncodec.load_model("light")         # the network, an nn.Module
"""

import importlib.metadata
from typing import TYPE_CHECKING, Any

from rnncodec.errors import RnncodecError

if TYPE_CHECKING:
    from rnncodec.api import compress, decompress, decompress_layers
    from rnncodec.network.codec import IterativeCodec
    from rnncodec.network.config import CodecConfig
    from rnncodec.weights.upload import push_to_hub
    from rnncodec.weights.weights_file import load_model, save_model

__all__ = [
    "CodecConfig",
    "IterativeCodec",
    "RnncodecError",
    "compress",
    "decompress",
    "decompress_layers",
    "load_model",
    "push_to_hub",
    "save_model",
]

_HOMES = {
    "CodecConfig": "network.config",
    "IterativeCodec": "network.codec",
    "compress": "api",
    "decompress": "api",
    "decompress_layers": "api",
    "load_model": "weights.weights_file",
    "push_to_hub": "weights.upload",
    "save_model": "weights.weights_file",
}


def __getattr__(name: str) -> Any:
    """Imports functions that need torch only when they are used, so that commands without a network start fast."""
    if name == "__version__":
        return importlib.metadata.version("rnncodec")
    if name in _HOMES:
        return getattr(importlib.import_module(f"rnncodec.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'rnncodec' has no attribute '{name}'")
