"""The bytes of a file ↔ its header, layers and metadata, as docs/FORMAT.md specifies. Needs neither network nor
pixels."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate

from rnncodec.errors import ConfigurationError, FormatError
from rnncodec.fileformat.arriving import Arriving
from rnncodec.fileformat.checksum import CHECK_SIZES, block_check, header_check, layer_check
from rnncodec.fileformat.metadata import ALPHA, KINDS, NO_METADATA, Block, Metadata, value
from rnncodec.fileformat.varint import pack_varint, unpack_varint, unzigzag, zigzag

MAGIC = b"RNNC"
VERSION = 2  # that is written; files of version 1 are read too
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
MAX_BLOCKS = 255  # of metadata
MAX_BLOCKS_SIZE = 2**26  # bytes of all blocks of metadata together


@dataclass(frozen=True)
class Header:
    """The header of a file.

    ``model`` is the identity of the weights, ``coder`` the id of the entropy coder, ``width`` and ``height`` the size
    of the picture in pixels, ``bits`` the number of bits for each position and layer, ``layers`` how many were written,
    ``version`` that of the format that the file was written in.
    """

    model: bytes
    coder: int
    width: int
    height: int
    bits: int
    layers: int
    version: int = VERSION

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the codes of a layer, ``(bits, h, w)``."""
        return self.bits, -(-self.height // STRIDE), -(-self.width // STRIDE)

    @property
    def raw_size(self) -> int:
        """The bytes of a layer of raw bits."""
        return (math.prod(self.shape) + 7) // 8

    def fields(self) -> bytes:
        """The bytes of the header before its check, in version VERSION."""
        fields = MAGIC + bytes([VERSION]) + self.model + bytes([self.coder, self.bits, self.layers])
        return fields + pack_varint(self.width) + pack_varint(self.height)

    def pack(self) -> bytes:
        """The bytes of the header, in version VERSION."""
        return self.fields() + header_check(VERSION, self.fields())


@dataclass(frozen=True)
class File:
    """A parsed file: its header, the payloads of its whole layers, the position in the file where each of them ends,
    and ``damage``, which describes what is wrong with the rest, or is None. ``blocks`` are its whole blocks of
    metadata, which follow the last layer and have ``metadata_size`` bytes, and ``metadata`` is what they say."""

    header: Header
    layers: list[bytes]
    ends: list[int]
    damage: str | None = None
    metadata: Metadata = NO_METADATA
    metadata_size: int = 0
    blocks: list[Block] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether all layers are there. Metadata may still be cut or damaged."""
        return len(self.layers) == self.header.layers


def write(header: Header, layers: list[bytes], blocks: Iterable[Block] = ()) -> bytes:
    """The file of a header, the payload of each layer, and the blocks of metadata, in version VERSION.

    Raises:
        ValueError: a field of the header is out of range, its number of layers is not that of ``layers``, a payload is
            longer than a layer of raw bits, or the blocks are more than MAX_BLOCKS or than MAX_BLOCKS_SIZE.
    """
    if len(header.model) != 4 or not 1 <= header.bits <= 255 or not 0 <= header.coder <= 255:
        raise ValueError(f"a field of {header} is out of range")
    if not (1 <= header.width <= MAX_SIDE and 1 <= header.height <= MAX_SIDE):
        raise ValueError(f"a picture of {header.width}×{header.height} pixels does not fit into a file")
    if header.layers != len(layers) or not 1 <= len(layers) <= MAX_LAYERS:
        raise ValueError(f"a file has from 1 to {MAX_LAYERS} layers, as many as its header says, not {len(layers)}")
    return b"".join([header.pack(), *_pack_layers(header, layers), *_pack_blocks(header, blocks)])


def _pack_layers(header: Header, layers: list[bytes]) -> list[bytes]:
    fields, expected, packed = header.fields(), header.raw_size, []
    for number, payload in enumerate(layers, 1):
        if len(payload) > header.raw_size:
            raise ValueError(f"a layer of {len(payload):,} bytes is longer than its raw bits")
        length = pack_varint(zigzag(len(payload) - expected))
        packed.append(length + layer_check(VERSION, fields, number, length + payload) + payload)
        expected = len(payload)
    return packed


def _pack_blocks(header: Header, blocks: Iterable[Block]) -> list[bytes]:
    fields, packed = header.fields(), []
    for number, (kind, content) in enumerate(blocks, 1):
        start = kind + pack_varint(len(content))
        if number > MAX_BLOCKS:
            raise ValueError(f"more than {MAX_BLOCKS} blocks of metadata do not fit into a file")
        packed.append(start + block_check(VERSION, fields, number, start + content) + content)
    if sum(map(len, packed)) > MAX_BLOCKS_SIZE:
        raise ValueError(f"metadata of {sum(map(len, packed)):,} bytes do not fit into a file")
    return packed


def blocks_size(blocks: Iterable[Block]) -> int:
    """The bytes that ``blocks`` of metadata take in a file."""
    return sum(
        len(kind) + len(pack_varint(len(content))) + CHECK_SIZES[VERSION] + len(content) for kind, content in blocks
    )


def spare_size(blocks: Iterable[Block]) -> int:
    """The bytes of those of the ``blocks`` that are not a part of the picture, and can be left out."""
    return blocks_size(block for block in blocks if block[0] != ALPHA)


def read(content: bytes) -> File:
    """Parse a file. If it is cut or damaged behind its header, the layers before the damage are returned.

    Raises:
        FormatError: not an ``.rnnc`` file, one of a newer version, or one cut or damaged inside its header.
    """
    return Reader([content]).file()


class Reader:
    """Parses a file whose bytes arrive in ``chunks``. Its header is known at once. Iterate over the reader, once, to
    get the payload of each layer as soon as all of its bytes have arrived; this ends before the first layer that is
    cut or damaged. Afterwards ``ends``, ``damage``, ``metadata``, ``metadata_size`` and ``blocks`` are those of a
    `File`. Of the ``chunks`` only as many bytes are read as a file with this header can have, so they may be endless.

    Raises:
        FormatError: not an ``.rnnc`` file, one of a newer version, or one cut or damaged inside its header.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._arriving = Arriving(chunks)
        self.ends: list[int] = []
        self.damage: str | None = None
        self.metadata = NO_METADATA
        self.metadata_size = 0
        self.blocks: list[Block] = []
        self.header, self._fields = _read_header(self._arriving)

    def __iter__(self) -> Iterator[bytes]:
        layers, expected = self.header.layers, self.header.raw_size
        for number in range(1, layers + 1):
            if not self._arriving.peek(1):
                self.damage = f"it was cut after layer {number - 1} of {layers}"
                return
            try:
                payload = self._read_layer(number, expected)
            except EOFError:
                self.damage = f"it was cut inside layer {number} of {layers}"
                return
            except ValueError:
                self.damage = f"layer {number} of {layers} is damaged"
                return
            self.ends.append(self._arriving.position)
            yield payload
            expected = len(payload)
        self._read_metadata()

    def file(self) -> File:
        """The whole file. Waits for all of its bytes."""
        layers = list(self)
        return File(self.header, layers, self.ends, self.damage, self.metadata, self.metadata_size, self.blocks)

    def _read_layer(self, number: int, expected: int) -> bytes:
        """The payload of the next layer. Its length is coded as its difference from ``expected``. Raises EOFError if
        the file ends first, ValueError if the layer is damaged."""
        length_field = self._arriving.take_varint()
        length = expected + unzigzag(unpack_varint(length_field))
        if not 0 <= length <= self.header.raw_size:
            raise ValueError("a length that no layer has")
        check = self._arriving.take(CHECK_SIZES[self.header.version])
        payload = self._arriving.take(length)
        if layer_check(self.header.version, self._fields, number, length_field + payload) != check:
            raise ValueError("a check that does not hold")
        return payload

    def _read_metadata(self) -> None:
        """Reads blocks of metadata up to the end of the file, or to the first that is cut or damaged."""
        start, values = self._arriving.position, {}
        while kind := self._arriving.peek(4):
            try:
                kind, content = self._read_block()
                if kind not in values:  # of two blocks of a kind the first counts
                    values[kind] = value(kind, content)
            except (EOFError, ValueError) as error:
                if not any(known.startswith(kind) for known in KINDS):
                    last = "block of metadata" if self.blocks else "layer"
                    self.damage = f"bytes that are not its own follow its last {last}"
                else:
                    cut = isinstance(error, EOFError)
                    self.damage = "it was cut inside its metadata" if cut else "its metadata are damaged"
                break
            self.blocks.append((kind, content))
            self.metadata_size = self._arriving.position - start
        self.metadata = Metadata.of(values)

    def _read_block(self) -> Block:
        """The next block. Raises EOFError if the file ends first, ValueError if the block is damaged, or if there are
        more blocks, or larger ones, than a file has."""
        kind = self._arriving.take(4)
        if not (kind.isascii() and kind.decode().isprintable()) or len(self.blocks) == MAX_BLOCKS:
            raise ValueError("no kind of a block, or one block too many")
        length_field = self._arriving.take_varint()
        length = unpack_varint(length_field)
        check_size = CHECK_SIZES[self.header.version]
        if self.metadata_size + len(kind) + len(length_field) + check_size + length > MAX_BLOCKS_SIZE:
            raise ValueError("blocks that are too large")
        check = self._arriving.take(check_size)
        content = self._arriving.take(length)
        number = len(self.blocks) + 1
        if block_check(self.header.version, self._fields, number, kind + length_field + content) != check:
            raise ValueError("a check that does not hold")
        return kind, content


def truncate(file: File, max_bytes: int, strip: bool = False) -> bytes:
    """A file with as many of the whole layers of ``file`` as fit into ``max_bytes`` beside its metadata. ``strip``
    leaves the metadata out, but for its alpha, which is a part of the picture.

    Raises:
        FormatError: the file has no whole layer.
        ConfigurationError: the first layer and the metadata do not fit.
    """
    if not file.layers:
        raise FormatError(f"nothing can be kept: {file.damage}")
    blocks = [(kind, each) for kind, each in file.blocks if kind == ALPHA or not strip]
    sizes = [len(file.header.pack()), *map(len, _pack_layers(file.header, file.layers))]
    ends = list(accumulate(sizes))[1:]
    kept = sum(end + blocks_size(blocks) <= max_bytes for end in ends)
    if not kept:
        least = f"its first layer ends at {ends[0]:,} bytes"
        if blocks:
            least += f" and its metadata have {blocks_size(blocks):,}"
        if spare := spare_size(blocks):
            least += f", {spare:,} of which --strip (in Python strip=True) leaves out"
        raise ConfigurationError(f"{least}: no less can be kept")
    return write(replace(file.header, layers=kept), file.layers[:kept], blocks)


def _read_header(arriving: Arriving) -> tuple[Header, bytes]:
    """The header, and its bytes before the check.

    Raises:
        FormatError: it is no header, one of a newer version, or cut or damaged.
    """
    start = arriving.peek(5)
    if not start:
        raise FormatError("an empty file")
    if start[:4] != MAGIC[: len(start)]:
        raise FormatError("not an rnncodec file")
    version = start[4] if len(start) > 4 else VERSION
    if version not in CHECK_SIZES:
        raise FormatError(f"written in version {version} of the format; this rnncodec reads versions 1 to {VERSION}")
    try:
        fixed, width_field, height_field = arriving.take(12), arriving.take_varint(), arriving.take_varint()
        check = arriving.take(CHECK_SIZES[version])
    except EOFError:
        raise FormatError("cut inside its header: nothing can be decoded") from None
    except ValueError:
        raise FormatError("its header is damaged: nothing can be decoded") from None
    fields = fixed + width_field + height_field
    (coder, bits, layers), width, height = fixed[9:], unpack_varint(width_field), unpack_varint(height_field)
    sensible = 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and bits and layers
    if check != header_check(version, fields) or not sensible:
        raise FormatError("its header is damaged: nothing can be decoded")
    return Header(fixed[5:9], coder, width, height, bits, layers, version), fields
