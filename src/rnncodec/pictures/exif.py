"""EXIF and XMP data that describe a picture which was turned upright, perhaps converted to sRGB, and written anew.

The values of EXIF tags are overwritten in place. Everything else stays where it is, because the notes of a camera's
maker hold offsets that no other program can correct.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL.ExifTags import IFD, Base, Interop

ORDERS = {b"II*\0": "<", b"MM\0*": ">"}  # how a TIFF stream begins, and the order of bytes of its numbers


class Entry(NamedTuple):
    """An entry of a directory of tags: its tag, the value of a LONG, and its place in the stream."""

    tag: int
    value: int
    position: int


def is_exif(data: bytes) -> bool:
    """Whether ``data`` begin as EXIF data do, which are a TIFF stream."""
    return data[:4] in ORDERS


def corrected_exif(data: bytes, width: int, height: int, srgb: bool) -> bytes:
    """EXIF data of the original, without the prefix ``Exif\\0\\0``, to those of an upright picture of this size.

    The orientation becomes 1, the size that of the picture. If the picture was converted to sRGB (``srgb``), the colour
    space becomes sRGB. The thumbnail, which is not upright, is left out. Tags that are not there are not added. Data
    that end early, or lead nowhere, are changed as far as they can be read.
    """
    order, stream = ORDERS[data[:4]], bytearray(data)

    def short(value: int) -> bytes:
        return struct.pack(order + "HLH2x", 3, 1, value)

    def long(value: int) -> bytes:
        return struct.pack(order + "HLL", 4, 1, value)

    colours: dict[int, bytes] = {Base.ColorSpace: short(1)} if srgb else {}
    exif_size: dict[int, bytes] = {Base.ExifImageWidth: long(width), Base.ExifImageHeight: long(height)}
    size: dict[int, bytes] = {Base.ImageWidth: long(width), Base.ImageLength: long(height)}
    first = _pointer(stream, 4, order)
    _overwrite(stream, first, order, {Base.Orientation: short(1)} | size | exif_size | colours)
    main = _subdirectory(stream, first, order, IFD.Exif)
    _overwrite(stream, main, order, exif_size | colours)
    if srgb:
        interop = _subdirectory(stream, main, order, IFD.Interop)
        # R98 is sRGB, R03 Adobe RGB.
        _overwrite(stream, interop, order, {Interop.InteropIndex: struct.pack(order + "HL4s", 2, 4, b"R98\0")})
    return _without_thumbnail(stream, first, order)


def _entries(stream: bytearray, directory: int, order: str) -> Iterator[Entry]:
    """The entries of the directory at this position, as far as the stream holds them."""
    if directory + 2 <= len(stream):
        (count,) = struct.unpack_from(order + "H", stream, directory)
        for position in range(directory + 2, min(directory + 2 + 12 * count, len(stream) - 11), 12):
            tag, value = struct.unpack_from(order + "H6xL", stream, position)
            yield Entry(tag, value, position)


def _pointer(stream: bytearray, position: int, order: str) -> int:
    """The LONG at this position; where the stream has ended, its end."""
    if position + 4 > len(stream):
        return len(stream)
    pointer: int = struct.unpack_from(order + "L", stream, position)[0]
    return pointer


def _subdirectory(stream: bytearray, directory: int, order: str, tag: int) -> int:
    """Where the directory is to which a tag points; the end of the stream if there is no such tag. A directory has it
    once: to follow more would take hours in a stream whose tags all point back to their own directory."""
    return next((entry.value for entry in _entries(stream, directory, order) if entry.tag == tag), len(stream))


def _overwrite(stream: bytearray, directory: int, order: str, entries: dict[int, bytes]) -> None:
    """Overwrite the entries of these tags: type, count and value, 10 bytes each."""
    for entry in list(_entries(stream, directory, order)):
        if entry.tag in entries:
            stream[entry.position + 2 : entry.position + 12] = entries[entry.tag]


def _without_thumbnail(stream: bytearray, first: int, order: str) -> bytes:
    """The stream without the link to its second directory, which describes the thumbnail, and without its JPEG data:
    they are cut off if they are the end of the stream, as is usual, and else overwritten with zeros."""
    if first + 2 > len(stream):
        return bytes(stream)
    link = first + 2 + 12 * struct.unpack_from(order + "H", stream, first)[0]
    if link + 4 > len(stream):
        return bytes(stream)
    values = {entry.tag: entry.value for entry in _entries(stream, _pointer(stream, link, order), order)}
    struct.pack_into(order + "L", stream, link, 0)
    start = values.get(Base.JpegIFOffset, len(stream))
    end = start + values.get(Base.JpegIFByteCount, 0)
    if stream[start : start + 2] == b"\xff\xd8":  # else these are no JPEG data, and may be something else
        if end >= len(stream):
            return bytes(stream[:start])
        stream[start:end] = bytes(end - start)
    return bytes(stream)


def corrected_xmp(packet: bytes, width: int, height: int, srgb: bool) -> bytes:
    """An XMP packet of the original, to that of an upright picture of this size, as `corrected_exif`."""
    values = {b"tiff:Orientation": b"1"}
    values |= dict.fromkeys((b"tiff:ImageWidth", b"exif:PixelXDimension"), str(width).encode())
    values |= dict.fromkeys((b"tiff:ImageLength", b"exif:PixelYDimension"), str(height).encode())
    if srgb:
        values |= {b"exif:ColorSpace": b"1", b"photoshop:ICCProfile": b"sRGB IEC61966-2.1"}
    for name, value in values.items():
        packet = re.sub(name + rb"\s*=\s*(\"[^\"]*\"|'[^']*')", name + b'="' + value + b'"', packet)
        packet = re.sub(rb"<(" + name + rb"(\s[^<>]*)?)>[^<]*</", rb"<\1>" + value + b"</", packet)
    return packet
