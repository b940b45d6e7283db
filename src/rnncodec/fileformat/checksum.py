"""The checks of the parts of a file, in each version of the format."""

import binascii
import zlib

CHECK_SIZES = {1: 2, 2: 4}  # bytes of a check, by the version of the format


def crc16(content: bytes) -> bytes:
    """CRC-16/XMODEM, big-endian: finds every error within any 16 bits in a row."""
    return binascii.crc_hqx(content, 0).to_bytes(2, "big")


def crc32(*parts: bytes) -> bytes:
    """CRC-32 as in zlib and PNG, big-endian, of all ``parts`` in a row: finds every error within any 32 bits in a
    row."""
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
    return crc.to_bytes(4, "big")


def header_check(version: int, fields: bytes) -> bytes:
    """The check of a header with these ``fields``."""
    return crc16(fields) if version == 1 else crc32(fields)


def layer_check(version: int, fields: bytes, number: int, layer: bytes) -> bytes:
    """The check of a ``layer``, its length field and its payload. Since version 2 the ``fields`` of the header and the
    ``number`` of the layer, from 1, enter it: the same bytes in another file or in another place do not pass."""
    return crc16(layer) if version == 1 else crc32(fields, bytes([number]), layer)


def block_check(version: int, fields: bytes, number: int, block: bytes) -> bytes:
    """The check of a ``block`` of metadata, its kind, length field and content. As for layers, the ``fields`` of the
    header and the ``number`` of the block, from 1, enter it; a zero before the number tells blocks from layers."""
    return crc16(block) if version == 1 else crc32(fields, bytes([0, number]), block)
