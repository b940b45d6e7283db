import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncodec.errors import ConfigurationError, FormatError
from rnncodec.fileformat import bitstream
from rnncodec.fileformat.bitstream import Header
from rnncodec.fileformat.metadata import Metadata
from rnncodec.fileformat.varint import checksum

sides = st.integers(1, 100_000)
payloads = st.lists(st.binary(max_size=40), min_size=1, max_size=6)


def header(layers: int, width: int = 33, height: int = 17) -> Header:
    return Header(model=b"\x01\x02\x03\x04", coder=0, width=width, height=height, bits=32, layers=layers)


def small_file() -> tuple[bytes, list[bytes]]:
    layers = [bytes(range(24)), bytes(range(5)), bytes(24)]
    return bitstream.write(header(3), layers), layers


@given(payloads, sides, sides)
def test_what_is_written_is_read(layers: list[bytes], width: int, height: int) -> None:
    written = header(len(layers), width, height)
    content = bitstream.write(written, layers)
    file = bitstream.read(content)
    assert (file.header, file.layers, file.damage) == (written, layers, None)
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
        (b"RNNC\x02" + small_file()[0][5:], "version 2"),
        (b"RNNC\x01\x00" + small_file()[0][6:], "header is damaged"),
    ],
)
def test_each_broken_header_has_its_own_message(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        bitstream.read(content)


def test_bytes_behind_the_last_layer_are_mentioned() -> None:
    content, layers = small_file()
    file = bitstream.read(content + b"more")
    assert file.layers == layers
    assert file.damage == "4 bytes that are not its own follow its last layer"


def test_truncated_file_is_that_of_fewer_layers() -> None:
    content, layers = small_file()
    ends = bitstream.read(content).ends
    for max_bytes in range(ends[0], len(content) + 2):
        kept = bitstream.truncate(content, max_bytes)
        assert len(kept) <= max_bytes
        file = bitstream.read(kept)
        assert file.damage is None
        assert file.layers == layers[: sum(end <= max_bytes for end in ends)]
    assert bitstream.truncate(content[:-1], 10**6) == bitstream.truncate(content, ends[-1] - 1)
    with pytest.raises(ConfigurationError, match=f"ends at {ends[0]} bytes"):
        bitstream.truncate(content, ends[0] - 1)
    with pytest.raises(FormatError, match="nothing can be kept"):
        bitstream.truncate(content[: ends[0] - 1], 10**6)


METADATA = Metadata(exif=b"II*\0" + bytes(20), xmp=b"<xmp>", srgb=True)


def test_metadata_follow_the_layers_and_a_file_cut_inside_them_is_whole_but_for_them() -> None:
    content, layers = small_file()
    with_metadata = content + METADATA.pack()
    assert bitstream.write(header(3), layers, METADATA.pack()) == with_metadata
    file = bitstream.read(with_metadata)
    assert (file.layers, file.metadata, file.damage) == (layers, METADATA, None)
    assert file.metadata_size == len(with_metadata) - len(content)
    for cut in range(len(content), len(with_metadata)):
        file = bitstream.read(with_metadata[:cut])
        assert (file.layers, file.whole) == (layers, True)
        assert file.damage in (None, "it was cut inside its metadata")
    assert not bitstream.read(content[:-1]).whole


def test_truncated_file_keeps_its_metadata_which_count_unless_they_are_stripped() -> None:
    content, layers = small_file()
    ends, metadata = bitstream.read(content).ends, METADATA.pack()
    foreign = b"next\x00" + checksum(b"next\x00")  # a block of a newer version
    for max_bytes in range(ends[0] + len(metadata) + len(foreign), len(content) + len(metadata) + 9):
        kept = bitstream.truncate(content + metadata + foreign, max_bytes)
        assert len(kept) <= max_bytes
        assert kept.endswith(metadata + foreign)
        file = bitstream.read(kept)
        assert (file.metadata, file.damage) == (METADATA, None)
        assert file.layers == layers[: sum(end + len(metadata + foreign) <= max_bytes for end in ends)]
        assert bitstream.truncate(content + metadata, max_bytes, strip=True) == bitstream.truncate(content, max_bytes)
    with pytest.raises(ConfigurationError, match="which --strip"):
        bitstream.truncate(content + metadata, ends[0])


def test_overhead_is_small() -> None:
    raw = header(16, 768, 512).raw_size
    assert raw == 768 * 512 // 64
    content = bitstream.write(header(16, 768, 512), [bytes(raw)] * 16)
    assert len(content) - 16 * raw == 18 + 16 * 3


@pytest.mark.parametrize(
    ("wrong", "layers"),
    [
        (header(2), [b""]),
        (header(0), []),
        (header(256), [b""] * 256),
        (header(1, width=0), [b""]),
        (header(1, height=2**29), [b""]),
    ],
)
def test_what_does_not_fit_is_not_written(wrong: Header, layers: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"range|pixels|layers"):
        bitstream.write(wrong, layers)


def test_the_worked_example_of_the_format_document() -> None:
    """The bytes in docs/FORMAT.md."""
    example = Header(model=bytes.fromhex("c0ffee42"), coder=0, width=20, height=16, bits=8, layers=2)
    assert bitstream.write(example, [b"\xa5\x0f", b"\x00\xff"]).hex(" ") == (
        "52 4e 4e 43 01 c0 ff ee 42 00 08 02 14 10 d2 ed 00 13 64 a5 0f 00 1e f0 00 ff"
    )
