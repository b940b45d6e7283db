"""Changes of files that keep enough of their structure to come past the first check."""

import json
from dataclasses import replace
from random import Random
from typing import Any

from rnncodec.errors import RnncodecError
from rnncodec.fileformat import bitstream
from rnncodec.fileformat.metadata import Metadata

WHOLE = [0, 1, -1, 2, 3, 7, 16, 31, 255, 256, 4096, 65535, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**30]
ODD: list[Any] = [None, True, False, "", "O", "int16", "../../x", "\x1b[2J", "</script>", [], {}, [[]], [0], {"a": 1}]
REAL = [0.0, -0.0, 0.5, 1e9, 1e-300, 1e308, float("nan"), float("inf"), -float("inf")]


def anything(content: bytes, random: Random) -> bytes:
    """Change bytes, remove, repeat or move parts, without knowledge of the kind."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        if not changed:
            return random.randbytes(random.randint(0, 16))
        at = random.randrange(len(changed))
        length = random.choice((1, 2, 4, 8, random.randint(1, len(changed))))
        what = random.randrange(7)
        if what <= 1:
            changed[at] ^= 1 << random.randrange(8)
        elif what == 2:
            changed[at : at + length] = random.randbytes(min(length, 64))
        elif what == 3:
            del changed[at : at + length]
        elif what == 4:
            changed[at:at] = changed[at : at + min(length, 4096)]
        elif what == 5:
            changed[at : at + length] = bytes([random.choice((0, 1, 127, 128, 255))]) * min(length, len(changed) - at)
        else:
            del changed[at:]
    return bytes(changed)


def file(content: bytes, random: Random) -> bytes:
    """Change the fields of an ``.rnnc`` file, and write it with checksums that hold."""
    try:
        read = bitstream.read(content)
    except RnncodecError:
        return anything(content, random)
    if random.random() < 0.3 or not read.layers:
        return anything(content, random)
    header, layers, metadata = read.header, list(read.layers), read.metadata
    for _ in range(random.choice((1, 1, 2, 3))):
        what = random.randrange(8)
        at = random.randrange(len(layers))
        if what == 0:
            sides = (1, 15, 16, 17, 20, 35, 300, 65535, 2**28)
            header = replace(header, width=random.choice(sides), height=random.choice(sides))
        elif what == 1:
            header = replace(header, coder=random.choice((0, 1, 2, 3, 4, 255)))
        elif what == 2:
            header = replace(header, bits=random.choice((1, 3, 4, 5, 255)))
        elif what <= 4:
            layers[at] = anything(layers[at], random)
        elif what == 5:
            layers[at : at + 1] = [layers[at]] * random.choice((0, 2, 3, 40))
            layers = layers[: bitstream.MAX_LAYERS] or [b""]
        elif what == 6:
            layers[at] = random.choice((b"", bytes(len(layers[at])), random.randbytes(2 * len(layers[at]) + 1)))
        else:
            metadata = Metadata(anything(metadata.exif, random), anything(metadata.xmp, random), not metadata.srgb)
    header = replace(header, layers=len(layers))
    try:
        plain, whole = bitstream.write(header, layers), bitstream.write(header, layers, metadata.blocks())
    except ValueError:  # a payload that no file can hold
        return anything(content, random)
    end = len(plain)  # of the layers
    return plain + anything(whole[end:], random) if random.random() < 0.2 else whole


def changed_value(value: Any, random: Random) -> Any:
    """Another value in place of ``value``."""
    if isinstance(value, int | float) and random.random() < 0.4:
        return random.choice([value + 1, value - 1, -value, 2 * value, str(value), [value]])
    if isinstance(value, str) and random.random() < 0.3:
        return anything(value.encode(), random).decode(errors="replace")
    return random.choice(random.choice((WHOLE, ODD, REAL)))


def change(value: Any, random: Random) -> Any:
    """``value``, with one value in it changed, removed, or repeated."""
    if not value or not isinstance(value, dict | list) or random.random() < 0.03:
        return changed_value(value, random)
    copied = value.copy()
    key = random.choice(list(copied) if isinstance(copied, dict) else range(len(copied)))
    what = random.random()
    if what < 0.1:
        del copied[key]
    elif what < 0.15 and isinstance(copied, list):
        copied *= random.choice((2, 40))
    elif what < 0.15:
        copied[str(key) + "x"] = copied[key]
    elif what < 0.17:
        for _ in range(random.choice((3, 40, 900))):
            copied[key] = [copied[key]]
    else:
        copied[key] = change(copied[key], random)
    return copied


def in_json(text: bytes, random: Random) -> bytes:
    """JSON with one or more values changed."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return anything(text, random)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        value = change(value, random)
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return text


def as_json(content: bytes, random: Random) -> bytes:
    return anything(content, random) if random.random() < 0.1 else in_json(content, random)


def weights(content: bytes, random: Random) -> bytes:
    """Change the header of a weights file, the options in its metadata, or its numbers."""
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
        metadata = header["__metadata__"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return anything(content, random)
    numbers = content[8 + length :]
    what = random.random()
    if what < 0.1:
        return anything(content, random)
    if what < 0.4:
        numbers = anything(numbers, random)[: len(numbers)].ljust(len(numbers), b"\0")
    elif what < 0.8 and metadata and isinstance(metadata, dict):
        name = random.choice(list(metadata))
        if isinstance(metadata[name], str):
            metadata[name] = in_json(metadata[name].encode(), random).decode(errors="replace")
    else:
        header = change(header, random)
    changed = json.dumps(header).encode()
    return len(changed).to_bytes(8, "little") + changed + numbers


def numbers(content: bytes, random: Random) -> bytes:
    """Change numbers, mostly without changing how many there are."""
    changed = anything(content, random)
    return changed if random.random() < 0.1 else changed[: len(content)].ljust(len(content), b"\xff")


def table(content: bytes, random: Random) -> bytes:
    """Change cells or lines of a CSV file."""
    lines = [line.split(b",") for line in content.split(b"\n")]
    if random.random() < 0.15 or len(lines) < 2:
        return anything(content, random)
    for _ in range(random.choice((1, 1, 2))):
        at = random.randrange(len(lines))
        what = random.randrange(4)
        if what == 0:
            lines[at : at + 1] = [lines[at]] * random.choice((0, 2, 50))
        elif what == 1:
            lines[at] = anything(b",".join(lines[at]), random).split(b",")
        else:
            cell = random.randrange(len(lines[at]))
            value = random.choice(random.choice((WHOLE, REAL, ODD)))
            lines[at][cell] = str(value).encode(errors="replace")
        lines = lines or [[b""]]
    return b"\n".join(b",".join(line) for line in lines)
