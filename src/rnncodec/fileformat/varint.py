"""Whole numbers of variable length in a file."""


def pack_varint(value: int) -> bytes:
    """Unsigned LEB128: seven bits a byte, lowest first, the top bit set on all but the last."""
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def unpack_varint(content: bytes, position: int) -> tuple[int, int]:
    """The value at ``position`` and where it ends. Raises EOFError if ``content`` ends first, and ValueError if it is
    longer than five bytes, which `pack_varint` never writes."""
    value = 0
    for at in range(5):
        if position + at >= len(content):
            raise EOFError
        byte = content[position + at]
        value |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return value, position + at + 1
    raise ValueError("a varint of more than five bytes")


def zigzag(value: int) -> int:
    """Maps signed to unsigned numbers: 0, -1, 1, -2, … to 0, 1, 2, 3, …"""
    return 2 * value if value >= 0 else -2 * value - 1


def unzigzag(value: int) -> int:
    """The inverse of `zigzag`."""
    return -(value + 1) // 2 if value & 1 else value // 2
