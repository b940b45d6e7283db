"""Writing files so that none is ever half written, under names that lead to no other folder."""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST = 100  # bytes of a name that are part of a temporary one, which file systems limit to 255 bytes, or 143


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a disk, or what a user may have of it, or a file


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """If a disk is full inside the block, the OSError names ``path``: of a file that is open already, the system says
    no name."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            error.filename = os.fspath(path)
        raise


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``. When the block ends, rename it to ``path``; when the block raises, remove
    it, so that ``path`` stays as it was. If the disk is full, the OSError names ``path``. A file that is replaced keeps
    its mode bits, and if ``path`` is a symbolic link, the file that it leads to is replaced.

    If ``path`` is there and no regular file, but a device or a named pipe, yield ``path`` itself: it is written into.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        with naming(path):
            yield path
        return
    real = Path(os.path.realpath(path))
    temporary = real.with_name(f".{shortened(real.name, LONGEST)}.{os.getpid()}.part")
    try:
        with naming(path):
            if real.exists():
                temporary.touch(0o600)  # nobody else may read it before it has its mode
            yield temporary
            if real.exists():
                with contextlib.suppress(PermissionError):  # some file systems have no modes
                    shutil.copymode(real, temporary)
            temporary.replace(real)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def shortened(name: str, most: int) -> str:
    """A name of at most ``most`` bytes, which must be some 20 at least: ``name``, or its beginning and a hash of it."""
    encoded = os.fsencode(name)
    if len(encoded) <= most:
        return name
    return f"{encoded[: most - 9].decode(errors='ignore')}-{hashlib.sha256(encoded).hexdigest()[:8]}"


def is_file_name(name: object) -> bool:
    """Whether ``name`` is a text that names a file in a folder, and nothing outside of it: without slashes and control
    characters, and not too long."""
    return isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable() and not set(name) & set("/\\\0")
