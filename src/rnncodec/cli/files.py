"""Reading inputs, writing outputs, and errors that do not stop the other files."""

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rich.markup import escape

from rnncodec.atomic_file import replacing
from rnncodec.errors import InputError, OutputError, RnncodecError, from_system
from rnncodec.pictures.limits import MAX_PIXELS
from rnncodec.terminal import log

CHUNK = 1 << 16  # bytes that are read at a time, at most, from what is no regular file
MOST_BYTES = 8 * MAX_PIXELS  # of an input: the largest picture with four samples of 16 bits a pixel
TOO_LONG = f"it has more than {MOST_BYTES:,} bytes, the most that are read"

# Other names of standard input and output, which are "-" here.
STANDARD_INPUT = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
STANDARD_OUTPUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def run_each(files: Iterable[str], action: Callable[[str], None]) -> tuple[int, int]:
    """Run ``action`` on each input. A failure is reported, and the other inputs are still processed. Returns the number
    of failures, and the exit code of the first, or 0."""
    failed = exit_code = 0
    for source in files:
        try:
            action(source)
        except Exception as error:  # one odd file must not keep the others from being processed
            failed, exit_code = failed + 1, exit_code or fail(source, error)
    return failed, exit_code


def fail(source: str, error: Exception) -> int:
    """Report the failure of an input in one line. Returns the exit code."""
    if isinstance(error, BrokenPipeError):
        raise error  # nobody reads what is reported
    reported = explained(error)
    line = " ".join(str(reported).split())  # messages of other packages may have several lines
    log.print(f"[red]error[/] {escape(source)}: {escape(line)}", soft_wrap=True)
    return reported.exit_code


def explained(error: Exception) -> RnncodecError:
    """An error as one of ours; its message says what happened if it is none of those that users can cause."""
    if isinstance(error, RnncodecError):
        return error
    if isinstance(error, OSError):
        return from_system(error)
    if isinstance(error, MemoryError):
        return RnncodecError("there is not enough memory")
    return RnncodecError(f"an unexpected {type(error).__name__}: {error}")


def warn(source: str, message: str) -> None:
    log.print(f"[yellow]warning[/] {escape(source)}: {escape(message)}", soft_wrap=True)


def check_input(source: str) -> None:
    """Raises InputError if the file cannot be read. It is not opened: a named pipe can be opened only once."""
    if source == "-":
        if sys.__stdin__ is None:
            raise InputError("standard input is closed")
        return
    try:
        os.stat(source)
    except OSError as error:
        raise InputError(error.strerror or str(error)) from None
    if not os.access(source, os.R_OK):
        raise InputError("it may not be read: permission denied")


def read_input(source: str) -> bytes:
    """The content of the file, or of standard input for ``-``. Raises InputError if it cannot be read."""
    return b"".join(read_chunks(source))


def read_chunks(source: str) -> Iterator[bytes]:
    """The content of the file; or of standard input for ``-`` or of a named pipe, in chunks, as soon as they arrive.
    Raises InputError if it cannot be read, or has more than MOST_BYTES."""
    try:
        if source == "-":
            yield from _within_limit(iter(lambda: os.read(sys.stdin.fileno(), CHUNK), b""))
            return
        with open(source, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                yield from _within_limit(iter(lambda: file.read(CHUNK), b""))
            elif status.st_size > MOST_BYTES:
                raise InputError(TOO_LONG)
            else:
                yield file.readall()
    except OSError as error:
        raise InputError(error.strerror or str(error)) from None


def _within_limit(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yields ``chunks``. Raises InputError where they have more than MOST_BYTES together: some devices never end."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > MOST_BYTES:
            raise InputError(TOO_LONG)
        yield chunk


def check_output(target: str, overwrite: bool) -> None:
    """Raises OutputError if the file exists and shall be kept, or if nothing can be written to its folder. What is no
    regular file, but a device or a named pipe, is written into, and needs no ``overwrite``."""
    path = Path(target)
    if target == "-":
        if sys.__stdout__ is None:
            raise OutputError("standard output is closed")
        return
    try:
        there = path.exists()
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}") from None
    if path.is_dir():
        raise OutputError(f"{target} cannot be written: it is a folder")
    if there and not path.is_file():
        if not os.access(path, os.W_OK):
            raise OutputError(f"{target} cannot be written: permission denied")
        return
    if there and not overwrite:
        raise OutputError(f"{target} exists already; use --overwrite to replace it")
    folder = next(parent for parent in Path(os.path.realpath(path)).parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"{target} cannot be written: {folder} is {'read-only' if folder.is_dir() else 'no folder'}")


def write_output(target: str, content: bytes, time: int | None = None) -> None:
    """Write ``content`` to the file ``target``, which is never half written, or to standard output for ``-``. ``time``
    becomes the file's modification time, in nanoseconds; a little later where the file system keeps no such time.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        if target == "-":
            left = memoryview(content)
            while left:  # without Python's buffer, which would fail a second time when the process ends
                left = left[os.write(sys.stdout.fileno(), left) :]
            return
        path = Path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
            if time is not None and temporary.is_file():
                os.utime(temporary, ns=(time, time))
                if temporary.stat().st_mtime_ns < time:
                    os.utime(temporary, ns=(time + COARSEST, time + COARSEST))
    except OSError as error:
        if target == "-" and isinstance(error, BrokenPipeError):
            raise  # its reader has seen enough
        name = "standard output" if target == "-" else target
        raise OutputError(f"{name} cannot be written: {error.strerror}") from None


COARSEST = 2_000_000_000  # nanoseconds between times that a FAT file system can keep


def modified(source: str) -> int | None:
    """The modification time of a file in nanoseconds; None for standard input and what else is no regular file."""
    if source == "-":
        return None
    status = os.stat(source)
    return status.st_mtime_ns if stat.S_ISREG(status.st_mode) else None
