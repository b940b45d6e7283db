"""JSON that somebody else may have written."""

import json
import os
from pathlib import Path
from typing import Any

MOST_BYTES = 2**24  # of a JSON file; its values take some ten times as much memory
MOST_DEPTH = 32  # of lists and objects inside each other; ours have fewer than ten


def read_json(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES) -> Any:
    """The content of a JSON file of at most ``most_bytes``.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is too large, or see `parse_json`.
    """
    with Path(path).open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it has more than {most_bytes:,} bytes")
    return parse_json(content.decode())


def parse_json(text: str) -> Any:
    """The value that ``text`` holds.

    Raises:
        ValueError: not JSON, or lists and objects are inside each other more than MOST_DEPTH times.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("its lists and objects are nested too deeply") from None
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [inner for each in level for inner in contents(each)]
    if level:
        raise ValueError(f"its lists and objects are nested more than {MOST_DEPTH} times")
    return value


def contents(value: Any) -> Any:
    """The values in a list or an object; none in any other value."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
