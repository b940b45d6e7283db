"""The codes of an iteration ↔ the payload of a layer, as docs/FORMAT.md specifies. Codes are int8 ``[bits, h, w]`` in
{-1, +1}."""

import math
from collections.abc import Sequence

import numpy as np
from threadpoolctl import ThreadpoolController

from rnncodec import bitstream
from rnncodec.entropy import range_coder
from rnncodec.entropy.contract import ONE, Bits, Codes, Context
from rnncodec.errors import FormatError

# numpy's matrix products here are so small that a second thread takes longer to wait for than it saves.
_PRODUCTS = ThreadpoolController().select(user_api="blas")

SLACK = 16  # bytes that a range coder's code word may be shorter than its information, see `least_size`


def least_size(bits: int) -> int:
    """The least bytes that the code word of so many bits has: no bit's probability exceeds ``(ONE - 1) / ONE``, so
    that each carries at least ``log2(ONE / (ONE - 1))`` bits of information. A code word also leaves out its zero bytes
    at the end: `encode` writes raw bits where these are more than SLACK."""
    return max(0, math.floor(bits * math.log2(ONE / (ONE - 1)) / 8) - SLACK)


def pack(codes: Codes) -> bytes:
    """Raw bits, +1 as 1, in the codes' order, eight a byte, highest first."""
    return np.packbits(codes > 0).tobytes()


def unpack(payload: bytes, shape: tuple[int, int, int]) -> Codes:
    """The inverse of `pack`. Raises FormatError where the payload is too short or long."""
    count = int(np.prod(shape))
    if len(payload) != (count + 7) // 8:
        raise FormatError(f"a layer has {len(payload)} bytes; its picture needs {(count + 7) // 8}")
    return _codes(np.unpackbits(np.frombuffer(payload, np.uint8), count=count), shape)


def encode(codes: Codes, history: Sequence[Codes], context: Context) -> bytes:
    """The code word of the codes under ``context``, which is conditional on the codes of all iterations before,
    ``history``. Where the code word is no shorter than the raw bits, these."""
    raw = pack(codes)
    with _PRODUCTS.limit(limits=1):
        coded = range_coder.encode((codes.ravel() > 0).astype(np.uint8), context.groups(history, *codes.shape[1:]))
    if context.coder == bitstream.FLOAT_CONTEXT:
        coded = bitstream.checksum(raw) + coded
    return coded if least_size(codes.size) <= len(coded) < len(raw) else raw


def decode(payload: bytes, shape: tuple[int, int, int], history: Sequence[Codes], context: Context) -> Codes:
    """The inverse of `encode`.

    Raises:
        FormatError: no encoder can have written the payload, or it was written under other probabilities than those
            that ``context`` gives on this machine.
    """
    count = int(np.prod(shape))
    if len(payload) >= (count + 7) // 8:
        return unpack(payload, shape)
    if len(payload) < least_size(count):
        raise FormatError(f"a layer has {len(payload)} bytes, too few for a picture of the size in its header")
    check = None
    if context.coder == bitstream.FLOAT_CONTEXT:  # whose floats may be others here than where the layer was written
        check, payload = payload[:2], payload[2:]
    with _PRODUCTS.limit(limits=1):
        codes = _codes(range_coder.decode(payload, context.groups(history, *shape[1:]), count), shape)
    if check is not None and check != bitstream.checksum(pack(codes)):
        raise FormatError("a layer decodes to other codes than were written: this machine computes in other floats")
    return codes


def _codes(bits: Bits, shape: tuple[int, int, int]) -> Codes:
    return (bits.astype(np.int8) * 2 - 1).reshape(shape)
