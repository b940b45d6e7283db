"""Writes files of version 1 of the format, which the package only reads."""

from collections.abc import Iterable

from rnncodec.fileformat.bitstream import MAGIC, Header
from rnncodec.fileformat.checksum import crc16
from rnncodec.fileformat.metadata import Block
from rnncodec.fileformat.varint import pack_varint, zigzag


def write(header: Header, layers: list[bytes], blocks: Iterable[Block] = ()) -> bytes:
    fields = MAGIC + b"\x01" + header.model + bytes([header.coder, header.bits, header.layers])
    fields += pack_varint(header.width) + pack_varint(header.height)
    parts = [fields, crc16(fields)]
    expected = header.raw_size
    for payload in layers:
        length = pack_varint(zigzag(len(payload) - expected))
        parts += [length, crc16(length + payload), payload]
        expected = len(payload)
    for kind, content in blocks:
        start = kind + pack_varint(len(content))
        parts += [start, crc16(start + content), content]
    return b"".join(parts)
