"""What a file says about its colours, read from its bytes where Pillow does not tell: the chunk cICP of a PNG file, the
box nclx of an AVIF or HEIC file, and the ICC profile of a JPEG 2000 file."""

import os
import struct
from collections.abc import Callable, Iterator
from typing import IO, TypeVar

from PIL import Image

from rnncodec.pictures.colour_codes import ColourCodes

KEY = "cicp"  # of the numbers in the info of an image
PNG = b"\x89PNG\r\n\x1a\n"
JPEG_2000 = b"\0\0\0\x0cjP  \r\n\x87\n"
ICC_METHODS = (2, 3)  # by which the box colr of a JPEG 2000 file names colours: a restricted profile, and any
MOST = 2**24  # bytes of the box that describes the picture


def colour_codes(image: Image.Image) -> ColourCodes | None:
    """The numbers by which the file of an image names its colours; None if there are none. They can be read while the
    image is not loaded, or if it was opened by a path."""
    known = image.info.get(KEY)
    if isinstance(known, tuple):
        return ColourCodes(*known)
    found = _read(image, _codes)
    return found[0] if found else None


def profile_in_jpeg_2000(image: Image.Image) -> bytes | None:
    """The ICC profile in the JPEG 2000 file of an image; None if there is none, and in other files. It can be read as
    the numbers of `colour_codes`."""
    found = _read(image, _profile) if image.format == "JPEG2000" else None
    return found[0] if found else None


Found = TypeVar("Found")


def _read(image: Image.Image, read: Callable[[IO[bytes]], tuple[Found] | None]) -> tuple[Found] | None:
    """What ``read`` finds in the file of an image, in a tuple; None if ``read`` does not know its format, or if it
    cannot be read."""
    try:
        stream: IO[bytes] | None = getattr(image, "fp", None)
        if stream is not None:
            position = stream.tell()
            try:
                stream.seek(0)
                if found := read(stream):
                    return found
            finally:
                stream.seek(position)
        path = getattr(image, "filename", "")
        if path and os.path.isfile(path):
            with open(path, "rb") as file:
                return read(file)
    except (OSError, ValueError, IndexError, struct.error):  # closed, or cut, or damaged
        pass
    return None


def _codes(stream: IO[bytes]) -> tuple[ColourCodes | None] | None:
    """The numbers in a file."""
    start = stream.read(12)
    if start.startswith(PNG):
        stream.seek(len(PNG))
        return (_in_png(stream),)
    if start[4:8] == b"ftyp":
        stream.seek(0)
        return (_in_heif(stream),)
    return None


def _profile(stream: IO[bytes]) -> tuple[bytes | None] | None:
    """The ICC profile in a JPEG 2000 file (ISO/IEC 15444-1, I.5.3.3). A codestream alone has none."""
    if stream.read(len(JPEG_2000)) != JPEG_2000:
        return None
    boxes = _boxes(_box(stream, b"jp2h") or b"")
    named = next((content for kind, content in boxes if kind == b"colr"), b"\0")  # readers heed the first alone
    return (named[3:] if named[0] in ICC_METHODS else None,)


def _box(stream: IO[bytes], wanted: bytes) -> bytes | None:
    """The content of the next box of this kind, or its first MOST bytes; None if there is none."""
    while len(start := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if length < 8:
            break
        if kind == wanted:
            return stream.read(min(length - 8, MOST))
        stream.seek(length - 8, os.SEEK_CUR)
    return None


def _in_png(stream: IO[bytes]) -> ColourCodes | None:
    """The content of cICP, which stands before the pixels."""
    while len(start := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if kind == b"cICP" and length == 4:
            primaries, transfer, _, full = stream.read(4)
            return ColourCodes(primaries, transfer, not full)
        if kind in (b"IDAT", b"IEND"):
            break
        stream.seek(length + 4, os.SEEK_CUR)
    return None


def _in_heif(stream: IO[bytes]) -> ColourCodes | None:
    """The content of the box nclx that belongs to the primary item (ISO/IEC 23008-12). The matrix and the range that it
    names too are applied by the decoder."""
    boxes = dict(_boxes((_box(stream, b"meta") or b"")[4:]))
    properties = dict(_boxes(boxes[b"iprp"])) if b"iprp" in boxes else {}
    found = [
        ColourCodes(*struct.unpack_from(">2H", content, 4)) if kind == b"colr" and content[:4] == b"nclx" else None
        for kind, content in _boxes(properties.get(b"ipco", b""))
    ]
    own = _of_primary_item(boxes.get(b"pitm", b""), properties.get(b"ipma", b""))
    return next((found[index - 1] for index in own if 0 < index <= len(found) and found[index - 1]), None)


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kinds and contents of the boxes in ``content``."""
    position = 0
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        if length < 8:
            return
        yield kind, content[position + 8 : position + length]
        position += length


def _of_primary_item(pitm: bytes, ipma: bytes) -> list[int]:
    """The numbers, from 1, of the properties of the primary item."""
    if not pitm or not ipma:
        return []
    (primary,) = struct.unpack_from(">I" if pitm[0] else ">H", pitm, 4)
    wide_items, wide = ipma[0] > 0, ipma[3] & 1
    (count,) = struct.unpack_from(">I", ipma, 4)
    position = 8
    for _ in range(count):
        (item,) = struct.unpack_from(">I" if wide_items else ">H", ipma, position)
        position += 4 if wide_items else 2
        number, position = ipma[position], position + 1
        indices = struct.unpack_from(f">{number}{'H' if wide else 'B'}", ipma, position)
        position += number * (2 if wide else 1)
        if item == primary:
            return [index & (0x7FFF if wide else 0x7F) for index in indices]
    return []
