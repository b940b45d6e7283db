"""The codes of an iteration ↔ the payload of a layer, as docs/FORMAT.md specifies. Codes are int8 ``[bits, h, w]`` in
{-1, +1}."""

import math
from collections.abc import Sequence

import numpy as np
from threadpoolctl import ThreadpoolController

from rnncodec.entropy import range_coder
from rnncodec.entropy.interface import ONE, Bits, Codes, ContextModel
from rnncodec.errors import FormatError

# The matrix products are so small that a second thread costs more time than it saves.
_PRODUCTS = ThreadpoolController().select(user_api="blas")

SLACK = 16  # bytes; see `least_size`


def least_size(bits: int) -> int:
    """The least number of bytes of a code word of this many bits. The probability of a bit is at most
    ``(ONE - 1) / ONE``, so that each bit has at least ``log2(ONE / (ONE - 1))`` bits of information. Zero bytes at the
    end of a code word are not written: SLACK allows for these, and `encode` writes raw bits if there are more."""
    return max(0, math.floor(bits * math.log2(ONE / (ONE - 1)) / 8) - SLACK)


def pack(codes: Codes) -> bytes:
    """Raw bits: +1 as 1 and -1 as 0, in the order of the codes, eight in a byte, the highest bit first."""
    return np.packbits(codes > 0).tobytes()


def unpack(payload: bytes, shape: tuple[int, int, int]) -> Codes:
    """The inverse of `pack`. Raises FormatError if the payload is too short or too long."""
    count = int(np.prod(shape))
    if len(payload) != (count + 7) // 8:
        raise FormatError(f"a layer has {len(payload)} bytes; its picture needs {(count + 7) // 8}")
    return _codes(np.unpackbits(np.frombuffer(payload, np.uint8), count=count), shape)


def encode(codes: Codes, history: Sequence[Codes], context: ContextModel) -> bytes:
    """The code word of ``codes`` with the probabilities of ``context``, conditional on ``history``, the codes of all
    earlier iterations. If it is not shorter than the raw bits, the raw bits."""
    raw = pack(codes)
    with _PRODUCTS.limit(limits=1):
        coded = range_coder.encode((codes.ravel() > 0).astype(np.uint8), context.groups(history, *codes.shape[1:]))
    return coded if least_size(codes.size) <= len(coded) < len(raw) else raw


def decode(payload: bytes, shape: tuple[int, int, int], history: Sequence[Codes], context: ContextModel) -> Codes:
    """The inverse of `encode`.

    Raises:
        FormatError: no encoder can have written the payload.
    """
    count = int(np.prod(shape))
    if len(payload) >= (count + 7) // 8:
        return unpack(payload, shape)
    if len(payload) < least_size(count):
        raise FormatError(f"a layer has {len(payload)} bytes, too few for a picture of the size in its header")
    with _PRODUCTS.limit(limits=1):
        return _codes(range_coder.decode(payload, context.groups(history, *shape[1:]), count), shape)


def _codes(bits: Bits, shape: tuple[int, int, int]) -> Codes:
    return (bits.astype(np.int8) * 2 - 1).reshape(shape)
