from hypothesis import given
from hypothesis import strategies as st

from rnncodec import fields


@given(st.integers(-(2**31), 2**31))
def test_lengths_round_trip(value: int) -> None:
    packed = fields.pack_varint(fields.zigzag(value))
    assert fields.unzigzag(fields.unpack_varint(packed, 0)[0]) == value
    assert fields.unpack_varint(packed, 0)[1] == len(packed)
