import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncodec.fileformat.metadata import EXIF, MAX_SIZE, NO_METADATA, SRGB, XMP, Metadata, unpack
from rnncodec.fileformat.varint import checksum, pack_varint

metadata = st.builds(Metadata, exif=st.binary(max_size=60), xmp=st.binary(max_size=60), srgb=st.booleans())
FULL = Metadata(exif=b"II*\0 and so on", xmp=b"<x:xmpmeta>" + bytes(range(256)), srgb=True)


def block(kind: bytes, content: bytes) -> bytes:
    start = kind + pack_varint(len(content))
    return start + checksum(start + content) + content


@given(metadata)
def test_what_is_packed_is_unpacked(written: Metadata) -> None:
    part = written.pack()
    assert unpack(part) == (written, len(part), None)
    assert bool(part) == bool(written)


def test_metadata_cut_at_every_byte_give_the_blocks_that_are_whole() -> None:
    part = FULL.pack()
    ends = [len(Metadata(exif=FULL.exif).pack()), len(Metadata(FULL.exif, FULL.xmp).pack()), len(part)]
    whole = [NO_METADATA, Metadata(FULL.exif), Metadata(FULL.exif, FULL.xmp), FULL]
    for cut in range(len(part) + 1):
        blocks = sum(end <= cut for end in ends)
        size = [0, *ends][blocks]
        assert unpack(part[:cut]) == (whole[blocks], size, None if cut == size else "it was cut inside its metadata")


def test_every_damaged_byte_of_metadata_is_found() -> None:
    part = FULL.pack()
    for at in range(len(part)):
        for flipped in range(1, 256):
            damaged = bytearray(part)
            damaged[at] ^= flipped
            found, size, damage = unpack(bytes(damaged))
            assert damage is not None
            assert size <= at
            assert found.exif in (b"", FULL.exif)
            assert found.xmp in (b"", FULL.xmp)


@given(st.binary(max_size=200))
def test_any_bytes_are_metadata_or_damage(part: bytes) -> None:
    _, size, damage = unpack(part)
    assert (damage is None) == (size == len(part))


@given(st.sampled_from([EXIF, XMP, SRGB, b"next"]), st.binary(max_size=60))
def test_any_content_of_a_block_that_is_whole_is_metadata_or_damage(kind: bytes, content: bytes) -> None:
    _, size, damage = unpack(block(kind, content) + FULL.pack())
    assert (damage is None) == (size > 0)
    assert damage in (None, "its metadata are damaged")


def test_blocks_of_a_kind_that_is_not_known_are_skipped() -> None:
    part = block(b"next", b"of a newer version") + FULL.pack()
    assert unpack(part) == (FULL, len(part), None)


def test_of_two_blocks_of_a_kind_the_first_counts() -> None:
    part = Metadata(xmp=b"first").pack() + Metadata(xmp=b"second").pack()
    assert unpack(part) == (Metadata(xmp=b"first"), len(part), None)


def test_foreign_bytes_behind_metadata_are_mentioned() -> None:
    part = FULL.pack()
    assert unpack(part + b"more") == (FULL, len(part), "4 bytes that are not its own follow its last block of metadata")


@pytest.mark.parametrize(
    "content",
    [b"", b"no zlib stream", zlib.compress(b"text")[:-1], zlib.compress(b"text") + b"more"],
    ids=["nothing", "other bytes", "cut", "longer"],
)
def test_contents_that_are_no_zlib_stream_are_damage(content: bytes) -> None:
    assert unpack(block(EXIF, content)) == (NO_METADATA, 0, "its metadata are damaged")


def test_the_largest_metadata_are_read_and_a_decompression_bomb_is_refused() -> None:
    assert unpack(block(XMP, zlib.compress(bytes(MAX_SIZE))))[0].xmp == bytes(MAX_SIZE)
    assert unpack(block(XMP, zlib.compress(bytes(MAX_SIZE + 1))))[2] == "its metadata are damaged"
    bomb = block(XMP, zlib.compress(bytes(5 * MAX_SIZE)))
    tracemalloc.start()
    try:
        assert unpack(bomb) == (NO_METADATA, 0, "its metadata are damaged")
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_SIZE
    finally:
        tracemalloc.stop()


def test_a_block_that_claims_more_than_the_limit_is_refused_at_once() -> None:
    start = EXIF + pack_varint(MAX_SIZE + 1)
    assert unpack(start)[2] == "its metadata are damaged"


def test_more_than_the_limit_is_not_written() -> None:
    with pytest.raises(ValueError, match="XMP data of 16,777,217 bytes do not fit"):
        Metadata(xmp=bytes(MAX_SIZE + 1)).pack()


def test_the_worked_example_of_the_format_document() -> None:
    """The bytes in docs/FORMAT.md."""
    assert Metadata(srgb=True).pack().hex(" ") == block(SRGB, b"").hex(" ") == "73 52 47 42 00 98 94"
