from hypothesis import given
from hypothesis import strategies as st

from rnncodec.fileformat import varint


@given(st.integers(-(2**31), 2**31))
def test_lengths_round_trip(value: int) -> None:
    field = varint.pack_varint(varint.zigzag(value))
    assert len(field) <= varint.LONGEST
    assert varint.unzigzag(varint.unpack_varint(field)) == value
