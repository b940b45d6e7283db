"""The bytes of a file while they arrive."""

from collections.abc import Iterable

from rnncodec.fileformat.varint import LONGEST


class Arriving:
    """The bytes of ``chunks``, of any sizes, in order. No more chunks are asked for than are needed, and only what is
    needed of them is copied. ``position`` counts the bytes that were taken."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = memoryview(b"")  # what is left of the last one
        self._held = bytearray()  # bytes that were asked for and not taken
        self.position = 0

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes, which stay; fewer if the file ends before."""
        while len(self._held) < size:
            if not self._chunk:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._chunk = memoryview(chunk)
            missing = size - len(self._held)
            self._held += self._chunk[:missing]
            self._chunk = self._chunk[missing:]
        return bytes(self._held[:size])

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes. Raises EOFError if the file ends before."""
        taken = self.peek(size)
        if len(taken) < size:
            raise EOFError
        del self._held[:size]
        self.position += size
        return taken

    def take_varint(self) -> bytes:
        """The bytes of the next varint. Raises EOFError if the file ends before, ValueError if it has more bytes than a
        varint can have."""
        field = b""
        while len(field) < LONGEST:
            field += self.take(1)
            if field[-1] < 0x80:
                return field
        raise ValueError("a varint that does not end")
