"""What a file holds besides its layers ↔ blocks of bytes, as docs/FORMAT.md specifies. Needs no Pillow."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

Block = tuple[bytes, bytes]  # the kind of a block, four characters, and its content

EXIF, XMP, SRGB, ALPHA = b"EXIF", b"XMP ", b"sRGB", b"ALPH"
KINDS = (EXIF, XMP, SRGB, ALPHA)
MAX_SIZE = 2**24  # bytes of the EXIF or XMP data
MAX_ALPHA = 2**25  # bytes of the alpha


@dataclass(frozen=True)
class Metadata:
    """What a file holds besides its layers.

    ``exif`` is a TIFF stream without the prefix ``Exif\\0\\0``, ``xmp`` an XMP packet. Both are empty if there are
    none. ``srgb`` says that the original had a colour profile, and was converted from it to sRGB. ``alpha`` is a PNG
    image of how opaque each pixel is; it is empty if all are opaque.
    """

    exif: bytes = b""
    xmp: bytes = b""
    srgb: bool = False
    alpha: bytes = b""

    def __bool__(self) -> bool:
        return self != NO_METADATA

    def blocks(self) -> list[Block]:
        """The blocks of a file that hold these metadata.

        Raises:
            ValueError: the EXIF or the XMP data have more than MAX_SIZE bytes.
        """
        found = []
        for kind, value in ((EXIF, self.exif), (XMP, self.xmp)):
            if value:
                content = zlib.compress(value, 9)
                if max(len(value), len(content)) > MAX_SIZE:
                    raise ValueError(f"{kind.decode().strip()} data of {len(value):,} bytes do not fit into a file")
                found.append((kind, content))
        if self.srgb:
            found.append((SRGB, b""))
        if self.alpha:
            found.append((ALPHA, self.alpha))
        return found

    @classmethod
    def of(cls, values: Mapping[bytes, bytes]) -> "Metadata":
        """The metadata of a file whose blocks have these ``values``, by their kind."""
        return cls(values.get(EXIF, b""), values.get(XMP, b""), SRGB in values, values.get(ALPHA, b""))


NO_METADATA = Metadata()


def value(kind: bytes, content: bytes) -> bytes:
    """What the content of a block stands for. Raises ValueError if it cannot be read."""
    if kind not in (EXIF, XMP):
        return content
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(content, MAX_SIZE + 1)  # no more, whatever the stream holds
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(found) > MAX_SIZE or not stream.eof or stream.unused_data:
        raise ValueError("a zlib stream that is too long, cut, or followed by other bytes")
    return found
