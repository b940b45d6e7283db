"""A range coder (Martin 1979): bits ↔ bytes, given the probability of each bit, as docs/FORMAT.md specifies.

The library constriction does the work. It is given the probability of the likelier value of each bit, m / 2^16 with
m ≥ 2^15. For all of these its conversion to fixed point is exact, as a test checks.
"""

import constriction
import numpy as np

from rnncodec.entropy.interface import ONE, Bits, Frequencies, Groups, replay
from rnncodec.errors import FormatError

WORD = 4  # bytes
STATE_BITS, WORD_BITS = 64, 32

_LIKELIER = constriction.stream.model.Bernoulli(perfect=False)


def encode(bits: Bits, groups: Groups) -> bytes:
    """The code word of ``bits``, flat, with the probabilities that ``groups`` gives."""
    encoder = constriction.stream.queue.RangeEncoder()
    for indices, frequencies in replay(groups, bits):
        likelier, probabilities = _likelier(frequencies)
        encoder.encode((bits[indices] == likelier).astype(np.int32), _LIKELIER, probabilities)
    return _shortest_end(encoder)


def decode(payload: bytes, groups: Groups, count: int) -> Bits:
    """The ``count`` bits that `encode` turned into ``payload``.

    Raises:
        FormatError: ``payload`` is not a code word.
    """
    bits = np.zeros(count, np.uint8)
    words = np.frombuffer(payload + bytes(-len(payload) % WORD), ">u4").astype(np.uint32)
    decoder = constriction.stream.queue.RangeDecoder(words)  # reads zeros beyond the end
    try:
        indices, frequencies = next(groups)
        while True:
            likelier, probabilities = _likelier(frequencies)
            try:
                hit = decoder.decode(_LIKELIER, probabilities)
            except AssertionError:
                raise FormatError("a layer is not a code word of its coder") from None
            group = (hit == likelier).astype(np.uint8)
            bits[indices] = group
            indices, frequencies = groups.send(group)
    except StopIteration:
        return bits


def _likelier(frequencies: Frequencies) -> tuple[Bits, np.ndarray]:
    """The likelier value of each bit (1 if both are equally likely), and its probability."""
    return (2 * frequencies >= ONE).astype(np.uint8), np.maximum(frequencies, ONE - frequencies) / ONE


def _shortest_end(encoder: constriction.stream.queue.RangeEncoder) -> bytes:
    """The shortest code word. Any number in the encoder's last interval ends it. The one with the most zero bytes at
    its end is chosen, and these bytes are left out; constriction itself ends with whole words."""
    sealed = encoder.get_compressed().astype(">u4").tobytes()
    words, (lower, size) = encoder.pos()
    written = int.from_bytes(sealed[: WORD * words], "big")
    if lower + (1 << WORD_BITS) - 1 >= 1 << STATE_BITS:
        written -= 1  # the end that constriction chose carries into the words before it
    for zeros in range(STATE_BITS, -1, -8):
        end = -(-lower >> zeros) << zeros
        if end < lower + size:
            break
    value = (written << STATE_BITS) + end
    return value.to_bytes(WORD * words + STATE_BITS // 8, "big").rstrip(b"\0")
