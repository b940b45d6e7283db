"""The page that compresses and opens files in a browser. Its sources are in ``web/`` of the repository; the folder
``page`` beside this file is built from them."""

import gzip
import hashlib
import json
import lzma
import os
from collections.abc import Mapping, Sequence
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
FILES = "files.js"  # what the page consists of
MODELS = "models"  # the folder of networks that the page loads for files of theirs


def write_page(
    networks: Sequence[str | os.PathLike[str]], folder: str | os.PathLike[str], overwrite: bool = True
) -> list[int]:
    """Write the page into ``folder``, for ``networks`` that `rnncodec.export.onnx.export` has written into folders. The
    first of them compresses photos. The page loads another one when it opens a file that asks for it. Returns the bytes
    of the page with its first network, and those of each other network.

    Raises:
        OutputError: the page was not built; or one of its files is there already, and ``overwrite`` is false. Nothing
            was written.
    """
    folder = Path(folder)
    page = Path(str(files("rnncodec.export"))) / "page"
    if not page.is_dir():
        raise OutputError("the page was not built: run  npm ci && npm run build  in the folder web/ of the repository")
    first, *others = map(Path, networks)
    own = built(page) | network_files(first)
    models = dict.fromkeys(identities(first), "")
    later: list[dict[str, bytes]] = []  # the files of each other network
    for network in others:
        known = identities(network)
        place = f"{MODELS}/{known[-1]}/"
        models = dict.fromkeys(known, place) | models
        later.append({place + name: content for name, content in network_files(network).items()})
    names = [name for found in later for name in found]
    own[FILES] = listing(["./", FILES, *own], names, models, version([own, *later]))
    there = [name for found in (own, *later) for name in found if (folder / name).exists()]
    if there and not overwrite:
        raise OutputError(f"{folder / there[0]} exists already; use --overwrite to replace it")
    for found in (own, *later):
        for name, content in found.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with replacing(folder / name) as temporary:
                temporary.write_bytes(content)
    return [sum(map(len, found.values())) for found in (own, *later)]


def built(page: Path) -> dict[str, bytes]:
    """The files of the folder ``page``, by the names that they have on the site."""
    contents = {}
    for path in sorted(page.iterdir()):
        content = path.read_bytes()
        if path.suffix == PACKED:
            contents[path.stem + ARCHIVED] = archived(lzma.decompress(content))
        else:
            contents[path.name] = content
    return contents


def network_files(network: Path) -> dict[str, bytes]:
    """The files of a ``network``, by the names that they have on the site."""
    contents = {onnx_codec.MODEL + ARCHIVED: archived((network / onnx_codec.MODEL).read_bytes())}
    for name in NUMBERS:
        contents[name + SPLIT + ARCHIVED] = archived(split((network / name).read_bytes()))
    return contents


def identities(network: Path) -> list[str]:
    """What files name a ``network`` by: alone, and with its context model, if it has one."""
    found: dict[str, str] = json.loads((network / onnx_codec.MODEL).read_bytes())["identities"]
    return list(found.values())


def version(files: Sequence[Mapping[str, bytes]]) -> str:
    """A name for these files that changes with their content."""
    digest = hashlib.sha256()
    for name, content in sorted(item for found in files for item in found.items()):
        digest.update(name.encode() + len(content).to_bytes(8, "big") + content)
    return f"rnncodec-{digest.hexdigest()[:16]}"


def listing(kept: Sequence[str], later: Sequence[str], models: Mapping[str, str], version: str) -> bytes:
    """The script that tells the page its files: those that it keeps for use without a network, those that it keeps once
    they were used, the folder of each model by its identities, and the version of all."""
    values = {"FILES": kept, "LATER": later, "MODELS": models, "VERSION": version}
    return "".join(f"self.{name} = {json.dumps(value)};\n" for name, value in values.items()).encode()


def split(content: bytes) -> bytes:
    """The bytes at even places, then those at odd places. The high bytes of numbers resemble each other: numbers of two
    bytes become about a tenth smaller in gzip's format than in their own order."""
    return content[::2] + content[1::2]


def archived(content: bytes) -> bytes:
    """``content`` in gzip's format, the same each time."""
    return gzip.compress(content, compresslevel=9, mtime=0)
