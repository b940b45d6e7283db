import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncodec.fileformat import bitstream
from rnncodec.fileformat.bitstream import File, Header
from rnncodec.fileformat.metadata import EXIF, MAX_SIZE, NO_METADATA, SRGB, XMP, Block, Metadata
from tests.fileformat import version_1

metadata = st.builds(
    Metadata, exif=st.binary(max_size=60), xmp=st.binary(max_size=60), srgb=st.booleans(), alpha=st.binary(max_size=60)
)
FULL = Metadata(exif=b"II*\0 and so on", xmp=b"<x:xmpmeta>" + bytes(range(40)), srgb=True, alpha=b"an image")
HEADER = Header(model=b"\x01\x02\x03\x04", coder=0, width=16, height=16, bits=32, layers=1)
LAYER = bytes(4)
START = bitstream.write(HEADER, [LAYER])  # what stands before the metadata


def part(blocks: list[Block]) -> bytes:
    """The metadata part of a file."""
    return bitstream.write(HEADER, [LAYER], blocks)[len(START) :]


def unpack(content: bytes) -> tuple[Metadata, int, str | None]:
    """What a reader finds in the metadata part of a file: metadata, bytes of whole blocks, and damage."""
    file: File = bitstream.read(START + content)
    assert file.layers == [LAYER]
    return file.metadata, file.metadata_size, file.damage


@given(metadata)
def test_what_is_packed_is_unpacked(written: Metadata) -> None:
    content = part(written.blocks())
    assert unpack(content) == (written, len(content), None)
    assert len(content) == bitstream.blocks_size(written.blocks())
    assert bool(content) == bool(written)
    older = bitstream.read(version_1.write(HEADER, [LAYER], written.blocks()))
    assert (older.metadata, older.damage) == (written, None)


def test_metadata_cut_at_every_byte_give_the_blocks_that_are_whole() -> None:
    blocks = FULL.blocks()
    ends = [bitstream.blocks_size(blocks[: count + 1]) for count in range(len(blocks))]
    whole = [
        NO_METADATA,
        Metadata(FULL.exif),
        Metadata(FULL.exif, FULL.xmp),
        Metadata(FULL.exif, FULL.xmp, srgb=True),
        FULL,
    ]
    content = part(blocks)
    for cut in range(len(content) + 1):
        count = sum(end <= cut for end in ends)
        size = [0, *ends][count]
        assert unpack(content[:cut]) == (whole[count], size, None if cut == size else "it was cut inside its metadata")


def test_every_damaged_byte_of_metadata_is_found() -> None:
    content = part(FULL.blocks())
    for at in range(len(content)):
        for flipped in range(1, 256):
            damaged = bytearray(content)
            damaged[at] ^= flipped
            found, size, damage = unpack(bytes(damaged))
            assert damage is not None
            assert size <= at
            assert found.exif in (b"", FULL.exif)
            assert found.xmp in (b"", FULL.xmp)
            assert found.alpha in (b"", FULL.alpha)


@given(st.binary(max_size=200))
def test_any_bytes_are_metadata_or_damage(content: bytes) -> None:
    _, size, damage = unpack(content)
    assert (damage is None) == (size == len(content))


@given(st.sampled_from([EXIF, XMP, SRGB, b"next"]), st.binary(max_size=60))
def test_any_content_of_a_block_that_is_whole_is_metadata_or_damage(kind: bytes, content: bytes) -> None:
    _, size, damage = unpack(part([(kind, content), *FULL.blocks()]))
    assert (damage is None) == (size > 0)
    assert damage in (None, "its metadata are damaged")


def test_blocks_of_a_kind_that_is_not_known_are_skipped() -> None:
    content = part([(b"next", b"of a newer version"), *FULL.blocks()])
    assert unpack(content) == (FULL, len(content), None)


def test_of_two_blocks_of_a_kind_the_first_counts() -> None:
    content = part(Metadata(xmp=b"first").blocks() + Metadata(xmp=b"second").blocks() + [(XMP, b"no zlib stream")])
    assert unpack(content) == (Metadata(xmp=b"first"), len(content), None)


def test_foreign_bytes_behind_metadata_are_mentioned() -> None:
    content = part(FULL.blocks())
    damage = "bytes that are not its own follow its last block of metadata"
    assert unpack(content + b"more") == (FULL, len(content), damage)


@pytest.mark.parametrize(
    "content",
    [b"", b"no zlib stream", zlib.compress(b"text")[:-1], zlib.compress(b"text") + b"more"],
    ids=["nothing", "other bytes", "cut", "longer"],
)
def test_contents_that_are_no_zlib_stream_are_damage(content: bytes) -> None:
    assert unpack(part([(EXIF, content)])) == (NO_METADATA, 0, "its metadata are damaged")


def test_the_largest_metadata_are_read_and_a_decompression_bomb_is_refused() -> None:
    assert unpack(part([(XMP, zlib.compress(bytes(MAX_SIZE)))]))[0].xmp == bytes(MAX_SIZE)
    assert unpack(part([(XMP, zlib.compress(bytes(MAX_SIZE + 1)))]))[2] == "its metadata are damaged"
    bomb = part([(XMP, zlib.compress(bytes(5 * MAX_SIZE)))])
    tracemalloc.start()
    try:
        assert unpack(bomb) == (NO_METADATA, 0, "its metadata are damaged")
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_SIZE
    finally:
        tracemalloc.stop()


def test_a_block_that_claims_more_than_the_limit_is_refused_at_once() -> None:
    start = EXIF + bitstream.pack_varint(bitstream.MAX_BLOCKS_SIZE + 1)
    assert unpack(start)[2] == "its metadata are damaged"


def test_more_than_the_limit_is_not_written() -> None:
    with pytest.raises(ValueError, match="XMP data of 16,777,217 bytes do not fit"):
        Metadata(xmp=bytes(MAX_SIZE + 1)).blocks()
