"""The metadata part of a file: its bytes ↔ EXIF and XMP data, as docs/FORMAT.md specifies. Needs no Pillow."""

import zlib
from dataclasses import dataclass

from rnncodec.fileformat.checksum import checksum
from rnncodec.fileformat.varint import pack_varint, unpack_varint

EXIF, XMP, SRGB = b"EXIF", b"XMP ", b"sRGB"  # the kinds of blocks
KINDS = (EXIF, XMP, SRGB)
MAX_SIZE = 2**24  # bytes of the EXIF or XMP data, and of the content of any block


@dataclass(frozen=True)
class Metadata:
    """What a file holds besides its picture.

    ``exif`` is a TIFF stream without the prefix ``Exif\\0\\0``, ``xmp`` an XMP packet. Both are empty if there are
    none. ``srgb`` says that the original had a colour profile, and was converted from it to sRGB.
    """

    exif: bytes = b""
    xmp: bytes = b""
    srgb: bool = False

    def __bool__(self) -> bool:
        return self != NO_METADATA

    def pack(self) -> bytes:
        """The metadata part of a file; nothing if there are no metadata.

        Raises:
            ValueError: the EXIF or the XMP data have more than MAX_SIZE bytes.
        """
        parts = []
        for kind, value in ((EXIF, self.exif), (XMP, self.xmp)):
            if value:
                content = zlib.compress(value, 9)
                if max(len(value), len(content)) > MAX_SIZE:
                    raise ValueError(f"{kind.decode().strip()} data of {len(value):,} bytes do not fit into a file")
                parts.append(_block(kind, content))
        if self.srgb:
            parts.append(_block(SRGB, b""))
        return b"".join(parts)


NO_METADATA = Metadata()


def unpack(part: bytes) -> tuple[Metadata, int, str | None]:
    """The metadata in ``part``, the bytes behind the last layer of a file; how many of these bytes are whole blocks;
    and what is wrong with the rest, or None. Nothing is read behind the first block that is cut or damaged. Never
    raises an error."""
    found: dict[bytes, bytes] = {}
    damage, position = None, 0
    while position < len(part):
        kind = part[position : position + 4]
        try:
            content, end = _read_block(part, position)
            found.setdefault(kind, _value(kind, content))
        except (EOFError, ValueError) as error:
            if not any(known.startswith(kind) for known in KINDS):
                damage = f"{len(part) - position} bytes that are not its own follow its last {_last(position)}"
            else:
                damage = "it was cut inside its metadata" if isinstance(error, EOFError) else "its metadata are damaged"
            break
        position = end
    return Metadata(found.get(EXIF, b""), found.get(XMP, b""), SRGB in found), position, damage


def _last(position: int) -> str:
    return "block of metadata" if position else "layer"


def _block(kind: bytes, content: bytes) -> bytes:
    start = kind + pack_varint(len(content))
    return start + checksum(start + content) + content


def _read_block(part: bytes, position: int) -> tuple[bytes, int]:
    """The content of the block at ``position``, and where the block ends. Raises EOFError if ``part`` ends first,
    ValueError if the block is damaged."""
    length, start = unpack_varint(part, position + 4)
    if length > MAX_SIZE:
        raise ValueError("a block that is too large")
    end = start + 2 + length
    if end > len(part):
        raise EOFError
    content = part[start + 2 : end]
    if checksum(part[position:start] + content) != part[start : start + 2]:
        raise ValueError("a checksum that does not hold")
    return content, end


def _value(kind: bytes, content: bytes) -> bytes:
    """What the content of a block stands for. Raises ValueError if it cannot be read."""
    if kind not in (EXIF, XMP):
        return content
    stream = zlib.decompressobj()
    try:
        value = stream.decompress(content, MAX_SIZE + 1)  # no more, whatever the stream holds
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(value) > MAX_SIZE or not stream.eof or stream.unused_data:
        raise ValueError("a zlib stream that is too long, cut, or followed by other bytes")
    return value
