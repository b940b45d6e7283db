import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, repeat

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rnncodec.errors import ConfigurationError, FormatError
from rnncodec.fileformat import bitstream
from rnncodec.fileformat.bitstream import MAX_BLOCKS, MAX_BLOCKS_SIZE, Header
from rnncodec.fileformat.metadata import Block, Metadata
from tests.fileformat import version_1

sides = st.integers(1, 100_000)
payloads = st.lists(st.binary(max_size=24), min_size=1, max_size=6)  # a layer of `header` has 24 bytes of raw bits
models = st.binary(min_size=4, max_size=4)
Write = Callable[[Header, list[bytes], Iterable[Block]], bytes]
versions = pytest.mark.parametrize("write", [version_1.write, bitstream.write], ids=["version 1", "version 2"])


def header(layers: int, width: int = 33, height: int = 17) -> Header:
    return Header(model=b"\x01\x02\x03\x04", coder=0, width=width, height=height, bits=32, layers=layers)


def small_file() -> tuple[bytes, list[bytes]]:
    layers = [bytes(range(24)), bytes(range(5)), bytes(24)]
    return bitstream.write(header(3), layers), layers


@versions
@given(layers=payloads, width=sides, height=sides)
def test_what_is_written_is_read(write: Write, layers: list[bytes], width: int, height: int) -> None:
    written = header(len(layers), width, height)
    layers = [payload[: written.raw_size] for payload in layers]
    content = write(written, layers, [])
    file = bitstream.read(content)
    assert (file.header, file.layers, file.damage) == (replace(written, version=content[4]), layers, None)
    assert file.ends[-1] == len(content)


@given(payloads, st.data())
def test_a_file_cut_anywhere_gives_its_whole_layers(layers: list[bytes], data: st.DataObject) -> None:
    content = bitstream.write(header(len(layers)), layers)
    ends = bitstream.read(content).ends
    cut = data.draw(st.integers(0, len(content) - 1))
    if cut < len(header(1).pack()):
        with pytest.raises(FormatError, match=r"header|empty"):
            bitstream.read(content[:cut])
    else:
        file = bitstream.read(content[:cut])
        assert file.layers == layers[: sum(end <= cut for end in ends)]
        assert file.damage is not None
        assert "it was cut" in file.damage


def test_every_damaged_byte_is_found() -> None:
    content, layers = small_file()
    for at in range(len(content)):
        for flipped in range(1, 256):
            damaged = bytearray(content)
            damaged[at] ^= flipped
            try:
                file = bitstream.read(bytes(damaged))
            except FormatError:
                continue
            assert file.damage is not None
            assert file.layers == layers[: len(file.layers)]
            assert len(file.layers) < len(layers)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(FormatError):
        bitstream.read(content)


@given(st.binary(max_size=60))
def test_anything_behind_a_header_is_read_without_a_crash(tail: bytes) -> None:
    file = bitstream.read(header(3).pack() + tail)
    assert file.damage is not None or len(file.layers) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"RN", "cut inside its header"),
        (b"\xff\xd8\xff\xe0 a JPEG", "not an rnncodec file"),
        (small_file()[0][:9], "cut inside its header"),
        (b"RNNC\x03" + small_file()[0][5:], "version 3 of the format; this rnncodec reads versions 1 to 2"),
        (b"RNNC\x00" + small_file()[0][5:], "version 0"),
        (b"RNNC\x01" + small_file()[0][5:], "header is damaged"),
        (b"RNNC\x02\x00" + small_file()[0][6:], "header is damaged"),
        (small_file()[0][:12] + b"\xff" * 20, "header is damaged"),
    ],
)
def test_each_broken_header_has_its_own_message(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        bitstream.read(content)


def test_bytes_behind_the_last_layer_are_mentioned() -> None:
    content, layers = small_file()
    file = bitstream.read(content + b"more")
    assert file.layers == layers
    assert file.damage == "bytes that are not its own follow its last layer"


def test_truncated_file_is_that_of_fewer_layers() -> None:
    content, layers = small_file()
    whole = bitstream.read(content)
    ends = whole.ends
    for max_bytes in range(ends[0], len(content) + 2):
        kept = bitstream.truncate(whole, max_bytes)
        assert len(kept) <= max_bytes
        file = bitstream.read(kept)
        assert file.damage is None
        assert file.layers == layers[: sum(end <= max_bytes for end in ends)]
    assert bitstream.truncate(bitstream.read(content[:-1]), 10**6) == bitstream.truncate(whole, ends[-1] - 1)
    with pytest.raises(ConfigurationError, match=f"ends at {ends[0]} bytes"):
        bitstream.truncate(whole, ends[0] - 1)
    with pytest.raises(FormatError, match="nothing can be kept"):
        bitstream.truncate(bitstream.read(content[: ends[0] - 1]), 10**6)


METADATA = Metadata(exif=b"II*\0" + bytes(20), xmp=b"<xmp>", srgb=True)


def test_metadata_follow_the_layers_and_a_file_cut_inside_them_is_whole_but_for_them() -> None:
    content, layers = small_file()
    with_metadata = bitstream.write(header(3), layers, METADATA.blocks())
    assert with_metadata.startswith(content)
    file = bitstream.read(with_metadata)
    assert (file.layers, file.metadata, file.damage) == (layers, METADATA, None)
    assert file.metadata_size == len(with_metadata) - len(content)
    for cut in range(len(content), len(with_metadata)):
        file = bitstream.read(with_metadata[:cut])
        assert (file.layers, file.whole) == (layers, True)
        assert file.damage in (None, "it was cut inside its metadata")
    assert not bitstream.read(content[:-1]).whole


@versions
def test_truncated_file_keeps_its_metadata_which_count_unless_they_are_stripped(write: Write) -> None:
    content, layers = small_file()
    bare = bitstream.read(content)
    ends = bare.ends
    blocks = [*METADATA.blocks(), (b"next", b"of a newer version")]
    size, whole = bitstream.blocks_size(blocks), bitstream.read(write(header(3), layers, blocks))
    for max_bytes in range(ends[0] + size, len(content) + size + 9):
        kept = bitstream.truncate(whole, max_bytes)
        assert len(kept) <= max_bytes
        file = bitstream.read(kept)
        assert (file.metadata, file.blocks, file.metadata_size, file.damage) == (METADATA, blocks, size, None)
        assert file.layers == layers[: sum(end + size <= max_bytes for end in ends)]
        assert file.header.version == bitstream.VERSION
        assert bitstream.truncate(whole, max_bytes, strip=True) == bitstream.truncate(bare, max_bytes)
    with pytest.raises(ConfigurationError, match=f"its metadata have {size}, {size} of which --strip"):
        bitstream.truncate(whole, ends[0])


def test_stripped_file_keeps_its_alpha_which_is_a_part_of_the_picture() -> None:
    _, layers = small_file()
    whole = bitstream.write(header(3), layers, replace(METADATA, alpha=b"an image").blocks())
    stripped = bitstream.read(bitstream.truncate(bitstream.read(whole), len(whole), strip=True))
    assert (stripped.layers, stripped.metadata) == (layers, Metadata(alpha=b"an image"))
    with pytest.raises(ConfigurationError, match=f"its metadata have {stripped.metadata_size}: no less"):
        bitstream.truncate(bitstream.read(whole), stripped.ends[0], strip=True)


def test_overhead_is_small() -> None:
    raw = header(16, 768, 512).raw_size
    assert raw == 768 * 512 // 64
    content = bitstream.write(header(16, 768, 512), [bytes(raw)] * 16)
    assert len(content) - 16 * raw == 20 + 16 * 5


@pytest.mark.parametrize(
    ("wrong", "layers"),
    [
        (header(2), [b""]),
        (header(0), []),
        (header(256), [b""] * 256),
        (header(1, width=0), [b""]),
        (header(1, height=2**29), [b""]),
        (header(1), [bytes(25)]),
    ],
)
def test_what_does_not_fit_is_not_written(wrong: Header, layers: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"range|pixels|layers|longer"):
        bitstream.write(wrong, layers)


def test_the_worked_example_of_the_format_document() -> None:
    """The bytes in docs/FORMAT.md."""
    example = Header(model=bytes.fromhex("c0ffee42"), coder=0, width=20, height=16, bits=8, layers=2)
    assert bitstream.write(example, [b"\xa5\x0f", b"\x00\xff"]).hex(" ") == (
        "52 4e 4e 43 02 c0 ff ee 42 00 08 02 14 10 b8 12 68 e2 00 5d cb b5 02 a5 0f 00 21 b3 a0 5c 00 ff"
    )
    with_profile = bitstream.write(example, [b"\xa5\x0f", b"\x00\xff"], Metadata(srgb=True).blocks())
    assert with_profile[32:].hex(" ") == "73 52 47 42 00 8c a2 7f b1"


@given(payloads, models, st.data())
def test_tails_of_a_constant_byte_are_no_layers(layers: list[bytes], model: bytes, data: st.DataObject) -> None:
    """As of a download whose file was made in its full length before, or of a disk that was rescued."""
    written = replace(header(len(layers)), model=model)
    content = bitstream.write(written, layers, METADATA.blocks())
    ends = bitstream.read(content).ends
    cut = data.draw(st.integers(len(written.pack()), len(content)))
    for byte in range(256):
        damaged = content[:cut] + bytes([byte]) * (len(content) - cut + 300)
        file = bitstream.read(damaged)
        same = next(
            (at for at, pair in enumerate(zip(content, damaged, strict=False)) if pair[0] != pair[1]), len(content)
        )
        assert file.layers == layers[: sum(end <= same for end in ends)]
        assert file.damage is not None


def test_tails_of_a_constant_byte_are_no_layers_at_any_layer() -> None:
    layers = [bytes([t]) * 24 for t in range(8)]
    content = bitstream.write(header(8), layers)
    for count, end in enumerate(bitstream.read(content).ends[:-1], start=1):
        for byte in range(256):
            file = bitstream.read(content[:end] + bytes([byte]) * len(content))
            assert (len(file.layers), file.damage) == (count, f"layer {count + 1} of 8 is damaged")


@given(payloads, models, st.data())
def test_a_repeated_layer_is_damage(layers: list[bytes], model: bytes, data: st.DataObject) -> None:
    written = replace(header(len(layers) + 1), model=model)
    content = bitstream.write(written, [*layers, b""])
    ends = [len(written.pack()), *bitstream.read(content).ends]
    again = data.draw(st.integers(0, len(layers) - 1))
    number = data.draw(st.integers(again + 1, len(layers)))  # layers before the repeated one
    repeated = content[ends[again] : ends[again + 1]]
    file = bitstream.read(content[: ends[number]] + repeated * (len(layers) + 1))
    assert file.layers == layers[:number]
    assert file.damage is not None


@given(payloads)
def test_a_layer_or_block_of_another_file_is_damage(layers: list[bytes]) -> None:
    mine, other = header(len(layers)), replace(header(len(layers)), model=b"else")
    content, foreign = (bitstream.write(each, layers, METADATA.blocks()) for each in (mine, other))
    assert bitstream.read(content[: len(mine.pack())] + foreign[len(mine.pack()) :]).layers == []
    end = bitstream.read(content).ends[-1]
    file = bitstream.read(content[:end] + foreign[end:])
    assert (file.metadata, file.damage) == (Metadata(), "its metadata are damaged")


def test_a_repeated_block_of_metadata_is_damage() -> None:
    content, layers = small_file()
    whole = bitstream.write(header(3), layers, Metadata(srgb=True).blocks())
    file = bitstream.read(whole + whole[len(content) :])
    assert (file.metadata, file.damage) == (Metadata(srgb=True), "its metadata are damaged")


class Source:
    """Chunks of these sizes of a content, then zeros without end. Counts the bytes that were asked for."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self.content = content
        self.sizes = sizes
        self.asked = 0

    def __iter__(self) -> Iterator[bytes]:
        for size in chain(self.sizes, repeat(self.sizes[-1] or 1)):
            chunk = self.content[self.asked : self.asked + size]
            self.asked += size
            yield chunk + bytes(size - len(chunk))


@versions
@given(layers=payloads, sizes=st.lists(st.integers(0, 50), min_size=1), with_metadata=st.booleans())
@example(layers=[b"one"], sizes=[1], with_metadata=True)
def test_chunks_of_any_size_are_read_and_no_more_than_the_file_has(
    write: Write, layers: list[bytes], sizes: list[int], with_metadata: bool
) -> None:
    metadata = METADATA if with_metadata else Metadata()
    content = write(header(len(layers)), layers, metadata.blocks())
    source = Source(content, sizes)
    reader = bitstream.Reader(source)
    for number, payload in enumerate(reader):
        assert payload == layers[number]
        assert source.asked < reader.ends[-1] + max(1, *sizes)  # as soon as it has arrived
    file = bitstream.read(content)
    assert (reader.ends, reader.metadata, reader.metadata_size) == (file.ends, metadata, file.metadata_size)
    last = "block of metadata" if with_metadata else "layer"
    assert reader.damage == f"bytes that are not its own follow its last {last}"
    assert source.asked < len(content) + 50 + max(1, *sizes)


@versions
@pytest.mark.parametrize("chunk", [b"\0" * 2**16, b"zero\x7f" * 2**12, b"\xff" * 2**20], ids=["zeros", "text", "ff"])
def test_what_follows_without_end_is_not_read(write: Write, chunk: bytes) -> None:
    content, layers = small_file()
    content = write(header(3), layers, [])
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        yield content
        while True:
            read += len(chunk)
            yield chunk

    reader = bitstream.Reader(endless())
    assert list(reader) == layers
    assert reader.damage == "bytes that are not its own follow its last layer"
    assert read <= 2**20


def blocks_without_end(content: bytes) -> Iterator[bytes]:
    """What follows the small file: blocks that are whole, of a kind that is not known."""
    fields, kind = header(3).fields(), b"next"
    start = kind + bitstream.pack_varint(len(content))
    yield small_file()[0]
    for number in range(1, 10_000):
        yield start + zlib.crc32(fields + bytes([0, number % 256]) + start + content).to_bytes(4, "big") + content


@pytest.mark.parametrize("size", [0, 10_000, 2**22], ids=["empty", "small", "large"])
def test_metadata_have_a_limit(size: int) -> None:
    tracemalloc.start()
    try:
        reader = bitstream.Reader(blocks_without_end(bytes(size)))
        assert len(list(reader)) == 3
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_BLOCKS_SIZE
    finally:
        tracemalloc.stop()
    assert len(reader.blocks) == min(MAX_BLOCKS, MAX_BLOCKS_SIZE // (size + 12))
    assert reader.damage == "bytes that are not its own follow its last block of metadata"


@pytest.mark.parametrize("more", [0, 1])
def test_what_the_reader_takes_of_metadata_can_be_written(more: int) -> None:
    _, layers = small_file()
    space = bitstream.MAX_BLOCKS_SIZE - bitstream.blocks_size([(b"next", b"")]) - 3  # bytes more of its length
    blocks = [(b"next", bytes(space + more))]
    if more:
        with pytest.raises(ValueError, match="do not fit into a file"):
            bitstream.write(header(3), layers, blocks)
    else:
        whole = bitstream.read(bitstream.write(header(3), layers, blocks))
        assert whole.blocks == blocks
        assert bitstream.read(bitstream.truncate(whole, 2**30)).blocks == blocks


def test_more_metadata_than_the_limits_are_not_written() -> None:
    _, layers = small_file()
    with pytest.raises(ValueError, match="more than 255 blocks of metadata do not fit"):
        bitstream.write(header(3), layers, [(b"next", b"")] * 256)
    with pytest.raises(ValueError, match=r"metadata of .* bytes do not fit"):
        bitstream.write(header(3), layers, [(b"next", bytes(MAX_BLOCKS_SIZE))])


def test_a_layer_that_claims_more_than_its_raw_bits_is_refused_at_once() -> None:
    written = header(1, 1_000_000, 1_000_000)
    longer = bitstream.pack_varint(2)  # one byte more
    reader = bitstream.Reader(Source(written.pack() + longer, [1000]))
    assert list(reader) == []
    assert reader.damage == "layer 1 of 1 is damaged"
