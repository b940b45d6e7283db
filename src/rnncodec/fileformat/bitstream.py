"""The bytes of a file ↔ its header, layers and metadata, as docs/FORMAT.md specifies. Needs neither network nor
pixels."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from rnncodec.errors import ConfigurationError, FormatError
from rnncodec.fileformat.checksum import checksum
from rnncodec.fileformat.metadata import NO_METADATA, Metadata, unpack
from rnncodec.fileformat.varint import pack_varint, unpack_varint, unzigzag, zigzag

MAGIC = b"RNNC"
VERSION = 1
RAW = 0  # the coder that packs the codes' bits as they are
CONTEXT = 1  # the range coder, with the model's context model in integers
RECURRENT_CONTEXT = 3  # the range coder, with the model's recurrent context model in integers; 2 is not used
CODERS = {
    RAW: "raw bits",
    CONTEXT: "context model",
    RECURRENT_CONTEXT: "recurrent context model",
}
STRIDE = 16  # pixels on a side of the block that one position of the codes stands for
MAX_SIDE = 2**28  # pixels; a damaged header can claim no more
MAX_LAYERS = 255


@dataclass(frozen=True)
class Header:
    """The header of a file.

    ``model`` is the identity of the weights, ``coder`` the id of the entropy coder, ``width`` and ``height`` the size
    of the picture in pixels, ``bits`` the number of bits for each position and layer, ``layers`` how many were written.
    """

    model: bytes
    coder: int
    width: int
    height: int
    bits: int
    layers: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the codes of a layer, ``(bits, h, w)``."""
        return self.bits, -(-self.height // STRIDE), -(-self.width // STRIDE)

    @property
    def raw_size(self) -> int:
        """The bytes of a layer of raw bits."""
        return (math.prod(self.shape) + 7) // 8

    def pack(self) -> bytes:
        """The bytes of the header, with its checksum."""
        fields = MAGIC + bytes([VERSION]) + self.model + bytes([self.coder, self.bits, self.layers])
        fields += pack_varint(self.width) + pack_varint(self.height)
        return fields + checksum(fields)


@dataclass(frozen=True)
class File:
    """A parsed file: its header, the payloads of its whole layers, the position in the file where each of them ends,
    and ``damage``, which describes what is wrong with the rest, or is None. ``metadata`` are those of its whole blocks
    of metadata, which follow the last layer and have ``metadata_size`` bytes."""

    header: Header
    layers: list[bytes]
    ends: list[int]
    damage: str | None = None
    metadata: Metadata = NO_METADATA
    metadata_size: int = 0

    @property
    def whole(self) -> bool:
        """Whether all layers are there. Metadata may still be cut or damaged."""
        return len(self.layers) == self.header.layers


def write(header: Header, layers: list[bytes], metadata: bytes = b"") -> bytes:
    """The file of a header, the payload of each layer, and the metadata, as `Metadata.pack` gives them.

    Raises:
        ValueError: a field of the header is out of range, or its number of layers is not that of ``layers``.
    """
    if len(header.model) != 4 or not 1 <= header.bits <= 255 or not 0 <= header.coder <= 255:
        raise ValueError(f"a field of {header} is out of range")
    if not (1 <= header.width <= MAX_SIDE and 1 <= header.height <= MAX_SIDE):
        raise ValueError(f"a picture of {header.width}×{header.height} pixels does not fit into a file")
    if header.layers != len(layers) or not 1 <= len(layers) <= MAX_LAYERS:
        raise ValueError(f"a file has from 1 to {MAX_LAYERS} layers, as many as its header says, not {len(layers)}")
    parts = [header.pack()]
    expected = header.raw_size
    for payload in layers:
        length = pack_varint(zigzag(len(payload) - expected))
        parts += [length, checksum(length + payload), payload]
        expected = len(payload)
    return b"".join([*parts, metadata])


def read(content: bytes) -> File:
    """Parse a file. If it is cut or damaged behind its header, the layers before the damage are returned.

    Raises:
        FormatError: not an ``.rnnc`` file, one of a newer version, or one cut or damaged inside its header.
    """
    reader = Reader([content])
    layers = list(reader)
    return File(reader.header, layers, reader.ends, reader.damage, reader.metadata, reader.metadata_size)


class Reader:
    """Parses a file whose bytes arrive in ``chunks``. Its header is known at once. Iterate over the reader, once, to
    get the payload of each layer as soon as all of its bytes have arrived; this ends before the first layer that is
    cut or damaged. Afterwards ``ends``, ``damage``, ``metadata`` and ``metadata_size`` are those of a `File`.

    Raises:
        FormatError: not an ``.rnnc`` file, one of a newer version, or one cut or damaged inside its header.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._content = b""
        self.ends: list[int] = []
        self.damage: str | None = None
        self.metadata = NO_METADATA
        self.metadata_size = 0
        while True:
            try:
                self.header, self._parsed = _parse_header(self._content)
                break
            except EOFError:
                if not self._more():
                    cut = "cut inside its header: nothing can be decoded"
                    raise FormatError(cut if self._content else "an empty file") from None

    def __iter__(self) -> Iterator[bytes]:
        layers, expected = self.header.layers, self.header.raw_size
        position = self._parsed
        for number in range(1, layers + 1):
            while True:
                try:
                    payload, end = _read_layer(self._content, position, expected)
                    break
                except EOFError:
                    if not self._more():
                        inside = position < len(self._content)
                        where = f"inside layer {number}" if inside else f"after layer {number - 1}"
                        self.damage = f"it was cut {where} of {layers}"
                        return
                except ValueError:
                    self.damage = f"layer {number} of {layers} is damaged"
                    return
            self.ends.append(end)
            yield payload
            expected, position = len(payload), end
        while self._more():  # of the metadata
            pass
        self.metadata, self.metadata_size, self.damage = unpack(self._content[position:])

    def _more(self) -> bool:
        """Waits for more bytes. False if there are none."""
        chunk = next(self._chunks, None)
        self._content += chunk or b""
        return chunk is not None


def truncate(content: bytes, max_bytes: int, strip: bool = False) -> bytes:
    """A file with as many of the whole layers of ``content`` as fit into ``max_bytes`` beside its metadata. ``strip``
    leaves the metadata out.

    Raises:
        FormatError: not an ``.rnnc`` file, or it has no whole layer.
        ConfigurationError: the first layer and the metadata do not fit.
    """
    file = read(content)
    if not file.layers:
        raise FormatError(f"nothing can be kept: {file.damage}")
    metadata = b"" if strip else content[file.ends[-1] :][: file.metadata_size]
    kept = sum(end + len(metadata) <= max_bytes for end in file.ends)
    if not kept:
        least = f"its first layer ends at {file.ends[0]:,} bytes"
        if metadata:
            least += f" and its metadata have {len(metadata):,}, which --strip (in Python strip=True) leaves out"
        raise ConfigurationError(f"{least}: no less can be kept")
    return write(replace(file.header, layers=kept), file.layers[:kept], metadata)


def _read_layer(content: bytes, position: int, expected: int) -> tuple[bytes, int]:
    """The payload of the layer at ``position``, and where it ends. The length of a payload is coded as its difference
    from ``expected``. Raises EOFError if ``content`` ends first, ValueError if the checksum is wrong."""
    difference, start = unpack_varint(content, position)
    length = expected + unzigzag(difference)
    end = start + 2 + length
    if length < 0:
        raise ValueError("a negative length")
    if end > len(content):
        raise EOFError
    payload = content[start + 2 : end]
    if checksum(content[position:start] + payload) != content[start : start + 2]:
        raise ValueError("a checksum that does not hold")
    return payload, end


def _parse_header(content: bytes) -> tuple[Header, int]:
    """The header and where it ends. Raises EOFError if ``content`` ends before it, FormatError if it is no header."""
    if not content.startswith(MAGIC[: len(content)]):
        raise FormatError("not an rnncodec file")
    if len(content) > 4 and content[4] != VERSION:
        raise FormatError(f"written in version {content[4]} of the format; this rnncodec reads version {VERSION}")
    try:
        width, position = unpack_varint(content, 12)
        height, position = unpack_varint(content, position)
    except ValueError:
        raise FormatError("its header is damaged: nothing can be decoded") from None
    if position + 2 > len(content):
        raise EOFError
    coder, bits, layers = content[9:12]
    sensible = 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and bits and layers
    if content[position : position + 2] != checksum(content[:position]) or not sensible:
        raise FormatError("its header is damaged: nothing can be decoded")
    return Header(content[5:9], coder, width, height, bits, layers), position + 2
