"""The page that compresses and opens files in a browser. Its sources are in ``web/`` of the repository; the folder
``page`` beside this file is built from them."""

import gzip
import hashlib
import json
import lzma
import os
from importlib.resources import files
from pathlib import Path

from rnncodec import exported
from rnncodec.errors import OutputError
from rnncodec.files import replacing

PACKED = ".xz"  # the ending of a file that is stored compressed
ARCHIVED = ".gz"  # the ending of a file that the page itself decompresses: file servers seldom compress such files
PAGE = "index.html"
FILES = "files.js"  # what the page keeps for use without a network


def write_page(folder: str | os.PathLike[str]) -> int:
    """Write the page into ``folder``, where `rnncodec.export.export` has written a network, whose files are replaced by
    compressed ones. Returns the bytes of all files of the page.

    Raises:
        OutputError: the page was not built.
    """
    folder = Path(folder)
    page = Path(str(files(__name__))) / "page"
    if not page.is_dir():
        raise OutputError("the page was not built: run  npm ci && npm run build  in the folder web/ of the repository")
    contents = {name + ARCHIVED: archived((folder / name).read_bytes()) for name in exported.FILES}
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
    for name in exported.FILES:
        (folder / name).unlink()
    return sum(map(len, contents.values()))


def archived(content: bytes) -> bytes:
    """``content`` in gzip's format, the same each time."""
    return gzip.compress(content, compresslevel=9, mtime=0)
