"""Whole numbers of variable length in a file."""

LONGEST = 5  # bytes


def pack_varint(value: int) -> bytes:
    """Unsigned LEB128: seven bits a byte, lowest first, the top bit set on all but the last."""
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def unpack_varint(field: bytes) -> int:
    """The value of ``field``, all bytes of a varint."""
    return sum((byte & 0x7F) << (7 * at) for at, byte in enumerate(field))


def zigzag(value: int) -> int:
    """Maps signed to unsigned numbers: 0, -1, 1, -2, … to 0, 1, 2, 3, …"""
    return 2 * value if value >= 0 else -2 * value - 1


def unzigzag(value: int) -> int:
    """The inverse of `zigzag`."""
    return -(value + 1) // 2 if value & 1 else value // 2
