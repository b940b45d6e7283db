"""The codes of an iteration ↔ the payload of a layer, as docs/FORMAT.md specifies. Codes are int8 ``[bits, h, w]`` in
{-1, +1}."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from rnncodec.entropy import range_coder
from rnncodec.entropy.interface import ONE, Bits, Codes, ContextModel
from rnncodec.errors import FormatError

_PRODUCTS = ThreadpoolController().select(user_api="blas")
_lock = threading.Lock()
_limits: list[Any] = []  # that of threadpoolctl, once for each thread inside `products_on_one_thread`

SLACK = 16  # bytes; see `least_size`


@contextmanager
def products_on_one_thread() -> Iterator[None]:
    """Inside the block numpy multiplies matrices on one thread. They are so small that a second thread costs more time
    than it saves. The limit is one of the whole process: the first thread that is inside sets it, and the last one
    takes it off."""
    with _lock:
        _limits.append(_limits[0] if _limits else _PRODUCTS.limit(limits=1))
    try:
        yield
    finally:
        with _lock:
            limit = _limits.pop()
            if not _limits:
                limit.restore_original_limits()


def least_size(bits: int) -> int:
    """The least number of bytes of a code word of this many bits. The probability of a bit is at most
    ``(ONE - 1) / ONE``, so that each bit has at least ``log2(ONE / (ONE - 1))`` bits of information. Zero bytes at the
    end of a code word are not written: SLACK allows for these, and `LayerCoder` writes raw bits if there are more."""
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


class LayerCoder:
    """Codes the layers of one picture, in order, under ``context``; without one, as raw bits."""

    def __init__(self, context: ContextModel | None) -> None:
        self.context = None if context is None else context.start()

    def encode(self, codes: Codes) -> bytes:
        """The payload of the next layer: the code word of ``codes`` with the probabilities of the context model. If it
        is not shorter than the raw bits, the raw bits."""
        raw = pack(codes)
        if self.context is None:
            return raw
        with products_on_one_thread():
            coded = range_coder.encode((codes.ravel() > 0).astype(np.uint8), self.context.groups(*codes.shape[1:]))
            self.context.remember(codes)
        return coded if least_size(codes.size) <= len(coded) < len(raw) else raw

    def decode(self, payload: bytes, shape: tuple[int, int, int]) -> Codes:
        """The codes ``[bits, h, w]``, of this ``shape``, of the next layer.

        Raises:
            FormatError: no encoder can have written the payload.
        """
        count = int(np.prod(shape))
        if self.context is None:
            return unpack(payload, shape)
        with products_on_one_thread():
            if len(payload) >= (count + 7) // 8:
                codes = unpack(payload, shape)
            elif len(payload) >= least_size(count):
                codes = _codes(range_coder.decode(payload, self.context.groups(*shape[1:]), count), shape)
            else:
                raise FormatError(f"a layer has {len(payload)} bytes, too few for a picture of the size in its header")
            self.context.remember(codes)
        return codes


def _codes(bits: Bits, shape: tuple[int, int, int]) -> Codes:
    return (bits.astype(np.int8) * 2 - 1).reshape(shape)
