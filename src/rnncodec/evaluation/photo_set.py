"""Which photos an evaluation is of: by their content, because two folders may hold different photos of one name."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

UNREADABLE = "unreadable"


def content_hash(path: Path) -> str:
    """The SHA-256 of the bytes of a file, in hexadecimal; UNREADABLE if it cannot be read."""
    try:
        status = path.stat()
        return _content_hash(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return UNREADABLE


@cache
def _content_hash(path: Path, size: int, changed: int) -> str:
    """Kept for a file as long as it does not change."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def set_hash(hashes: Iterable[str]) -> str:
    """Eight hexadecimal digits that name a set of photos. They do not depend on the names or the order of the photos,
    and change if one is changed, removed or added. ``hashes`` are those of `content_hash`."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()[:8]


def set_name(folder: str, images: Sequence[Path]) -> str:
    """The name of a set of photos: that of its folder, and its hash."""
    return f"{folder}-{set_hash(map(content_hash, images))}"
