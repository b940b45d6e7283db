import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncodec.entropy import range_coder
from rnncodec.entropy.interface import ONE, Groups
from rnncodec.errors import FormatError
from tests.entropy.reference import decode_bits

KINDS = {
    "any": lambda rng, n: rng.integers(1, ONE, n),
    "certain": lambda rng, n: np.full(n, ONE - 1),
    "impossible": lambda rng, n: np.full(n, 1),
    "even": lambda rng, n: np.full(n, ONE // 2),
}


def in_groups(frequencies: np.ndarray, size: int) -> Groups:
    for start in range(0, len(frequencies), size):
        part = frequencies[start : start + size]
        yield np.arange(start, start + len(part)), part


@given(st.sampled_from(list(KINDS)), st.integers(0, 300), st.integers(1, 40), st.booleans(), st.integers(0, 2**32 - 1))
def test_decoding_gives_the_bits_back_here_and_in_a_second_decoder(
    kind: str, count: int, size: int, likely: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    frequencies = KINDS[kind](rng, count)
    bits = (rng.random(count) < (frequencies / ONE if likely else 0.5)).astype(np.uint8)
    payload = range_coder.encode(bits, in_groups(frequencies, size))
    assert np.array_equal(range_coder.decode(payload, in_groups(frequencies, size), count), bits)
    assert decode_bits(payload, lambda i: int(frequencies[i]), count) == bits.tolist()
    assert not payload.endswith(b"\0")
    information = -np.log2(np.where(bits == 1, frequencies, ONE - frequencies) / ONE).sum()
    assert len(payload) <= information / 8 + 2


def test_every_probability_is_exact() -> None:
    """The share of the interval that each one gets, in 2^-24, read from the encoder's state."""
    for likelier in range(ONE // 2, ONE):
        encoder = range_coder.constriction.stream.queue.RangeEncoder()
        encoder.encode(np.ones(1, np.int32), range_coder._LIKELIER, np.array([likelier / ONE]))
        words, (lower, size) = encoder.pos()
        unit = (2**64 - 1) >> 24
        assert (words, lower, size) == (0, unit * (ONE - likelier) * 256, unit * likelier * 256)


def test_vectors() -> None:
    """Bytes that any implementation must write; frequencies and bits by simple rules."""
    frequencies = np.array([(i * i * 7919 + 4711 * i) % 65535 + 1 for i in range(200)])
    bits = np.array([(i * 31 + i // 7) % 3 == 0 for i in range(200)], np.uint8)
    assert range_coder.encode(bits, in_groups(frequencies, 23)).hex() == (
        "00004459b0b05f1f65f51a663aeaa200d55aa905fae25d7a9ce311919a788508250eecefd4721b"
    )
    assert range_coder.encode(bits[:0], in_groups(frequencies[:0], 1)) == b""
    assert range_coder.encode(np.ones(1, np.uint8), in_groups(np.array([1]), 1)) == b""
    assert range_coder.encode(np.ones(1, np.uint8), in_groups(np.array([ONE - 1]), 1)) == b"\x01"


@given(st.binary(max_size=60), st.integers(0, 2**32 - 1))
def test_garbage_decodes_to_something_or_is_refused(payload: bytes, seed: int) -> None:
    frequencies = np.random.default_rng(seed).integers(1, ONE, 300)
    try:
        bits = range_coder.decode(payload, in_groups(frequencies, 50), 300)
    except FormatError:
        return
    assert set(bits.tolist()) <= {0, 1}


def test_a_number_beyond_the_whole_interval_is_refused() -> None:
    with pytest.raises(FormatError, match="not a code word"):
        range_coder.decode(b"\xff" * 8, in_groups(np.full(9, 5), 9), 9)
