"""Recurrent, progressive image compression.

data = rnncodec.compress("photo.jpg")        # bytes, to be cut anywhere
image = rnncodec.decompress(data[:20_000])   # a PIL image
codec = rnncodec.load_model("small")         # the network, an nn.Module
"""

from rnncodec.compression import compress, decompress
from rnncodec.errors import RnncodecError
from rnncodec.model_file import load_model

__all__ = ["RnncodecError", "compress", "decompress", "load_model"]
