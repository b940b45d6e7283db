"""The codes of an iteration ↔ the payload of a layer, as docs/FORMAT.md specifies. Codes are int8 ``[bits, h, w]`` in
{-1, +1}."""

from collections.abc import Sequence

import numpy as np
from threadpoolctl import ThreadpoolController

from rnncodec import bitstream
from rnncodec.entropy import range_coder
from rnncodec.entropy.contract import Bits, Codes, Context
from rnncodec.errors import FormatError

# numpy's matrix products here are so small that a second thread takes longer to wait for than it saves.
_PRODUCTS = ThreadpoolController().select(user_api="blas")


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
    """The codes under ``context``, which sees those of all iterations before, ``history``; or, where that is no
    shorter, their raw bits."""
    raw = pack(codes)
    with _PRODUCTS.limit(limits=1):
        coded = range_coder.encode((codes.ravel() > 0).astype(np.uint8), context.groups(history, *codes.shape[1:]))
    if context.coder == bitstream.FLOAT_CONTEXT:
        coded = bitstream.checksum(raw) + coded
    return coded if len(coded) < len(raw) else raw


def decode(payload: bytes, shape: tuple[int, int, int], history: Sequence[Codes], context: Context) -> Codes:
    """The inverse of `encode`. Raises FormatError where no encoder wrote the payload, or not with the probabilities
    that ``context`` gives here."""
    count = int(np.prod(shape))
    if len(payload) >= (count + 7) // 8:
        return unpack(payload, shape)
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
