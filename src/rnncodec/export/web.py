"""The page that compresses and opens files in a browser. Its sources are in ``web/`` of the repository; the folder
``page`` beside this file is built from them."""

import gzip
import hashlib
import json
import lzma
import os
from importlib.resources import files
from pathlib import Path

from rnncodec.atomic_file import replacing
from rnncodec.coding import onnx_codec
from rnncodec.errors import OutputError

PACKED = ".xz"  # the ending of a file that is stored compressed
ARCHIVED = ".gz"  # the ending of a file that the page itself decompresses: file servers seldom compress such files
# Files that are nearly all numbers of two bytes.
NUMBERS = (onnx_codec.ENCODER, onnx_codec.DECODER, onnx_codec.PIXELS, onnx_codec.CONTEXT)
SPLIT = ".split"  # the ending of a file whose bytes at even places come first, then those at odd places
PAGE = "index.html"
FILES = "files.js"  # what the page keeps for use without a network


def write_page(network: str | os.PathLike[str], folder: str | os.PathLike[str]) -> int:
    """Write the page into ``folder``, for the ``network`` that `rnncodec.export.onnx.export` has written into a folder.
    Returns the bytes of all files of the page.

    Raises:
        OutputError: the page was not built.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page = Path(str(files("rnncodec.export"))) / "page"
    if not page.is_dir():
        raise OutputError("the page was not built: run  npm ci && npm run build  in the folder web/ of the repository")
    contents = {onnx_codec.MODEL + ARCHIVED: archived((Path(network) / onnx_codec.MODEL).read_bytes())}
    for name in NUMBERS:
        contents[name + SPLIT + ARCHIVED] = archived(split((Path(network) / name).read_bytes()))
    for path in sorted(page.iterdir()):
        content = path.read_bytes()
        if path.suffix == PACKED:
            contents[path.stem + ARCHIVED] = archived(lzma.decompress(content))
        else:
            contents[path.name] = content
    version = hashlib.sha256()
    for name, content in sorted(contents.items()):
        version.update(name.encode() + len(content).to_bytes(8, "big") + content)
    names = json.dumps(["./", *contents])
    contents[FILES] = f"self.FILES = {names};\nself.VERSION = 'rnncodec-{version.hexdigest()[:16]}';\n".encode()
    for name, content in contents.items():
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)
    return sum(map(len, contents.values()))


def split(content: bytes) -> bytes:
    """The bytes at even places, then those at odd places. The high bytes of numbers resemble each other: numbers of two
    bytes become about a tenth smaller in gzip's format than in their own order."""
    return content[::2] + content[1::2]


def archived(content: bytes) -> bytes:
    """``content`` in gzip's format, the same each time."""
    return gzip.compress(content, compresslevel=9, mtime=0)
