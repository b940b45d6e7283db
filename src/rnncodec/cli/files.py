"""Input files to output files: names, reading, writing, progress, and errors that do not stop the other files."""

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import typer
from rich.markup import escape

from rnncodec.errors import InputError, OutputError, RnncodecError
from rnncodec.files import replacing
from rnncodec.terminal import log, progress

CHUNK = 1 << 16  # bytes that are read from standard input at a time, at most

# Called with the number of steps of a file; returns a function that moves the progress bar by some steps, or by a part
# of one.
Step = Callable[[int], Callable[[float], None]]

# Converts one file: called with the names of the input and of the output, and a Step. It returns the content of the
# output, and a remark for the line that is printed.
Convert = Callable[[str, str, Step], tuple[bytes, str]]


def convert_all(
    files: list[str], output: str | None, suffix: str, overwrite: bool, load: Callable[[], Convert]
) -> None:
    """Convert each input file and write its output, with a progress bar and one line for each file.

    All inputs and outputs are checked first. ``load`` returns the function that converts one file. It is called only if
    a file passes the checks, because it may have to import torch, which takes seconds.
    """
    into_folder = (
        output is not None and output != "-" and (len(files) > 1 or output.endswith("/") or Path(output).is_dir())
    )
    targets: dict[str, str] = {}

    def check(source: str) -> None:
        target = target_of(source, output, suffix, into_folder)
        if target != "-" and Path(target).exists() and not overwrite:
            raise OutputError(f"{target} exists already; use --overwrite to replace it")
        check_input(source)
        targets[source] = target

    exit_code = run_each(files, check)
    if targets:
        convert = load()
        with progress() as bar:

            def one(source: str) -> None:
                target = targets[source]
                task = bar.add_task(escape(Path(source).name), total=None)

                def step(total: int) -> Callable[[float], None]:
                    bar.update(task, total=total)
                    return partial(bar.advance, task)

                try:
                    converted, remark = convert(source, target, step)
                finally:
                    bar.remove_task(task)
                write_output(target, converted)
                log.print(f"{escape(source)} → {escape(target)}: {remark}", soft_wrap=True)

            exit_code = run_each(list(targets), one) or exit_code
    if exit_code:
        raise typer.Exit(exit_code)


def run_each(files: list[str], action: Callable[[str], None]) -> int:
    """Run ``action`` on each input. A failure is reported, and the other inputs are still processed. Returns the exit
    code of the first failure, or 0."""
    exit_code = 0
    for source in files:
        try:
            action(source)
        except RnncodecError as error:
            log.print(f"[red]error[/] {escape(source)}: {escape(str(error))}", soft_wrap=True)
            exit_code = exit_code or error.exit_code
    return exit_code


def target_of(source: str, output: str | None, suffix: str, into_folder: bool) -> str:
    """The output for ``source``: beside it, unless ``output`` names another place."""
    if output is not None and not into_folder:
        return output
    if source == "-":
        if into_folder:
            raise OutputError("standard input has no name to use in a folder; name an output file")
        return "-"
    path = Path(source).with_suffix(suffix)
    return str(Path(output) / path.name if output is not None else path)


def check_input(source: str) -> None:
    """Raises InputError if the file cannot be opened."""
    if source != "-":
        try:
            Path(source).open("rb").close()
        except OSError as error:
            raise InputError(error.strerror or str(error)) from None


def read_input(source: str) -> bytes:
    """The content of the file, or of standard input for ``-``. Raises InputError if it cannot be read."""
    return b"".join(read_chunks(source))


def read_chunks(source: str) -> Iterator[bytes]:
    """The content of the file; or of standard input for ``-``, in chunks, as soon as they arrive. Raises InputError if
    it cannot be read."""
    try:
        if source == "-":
            while chunk := os.read(sys.stdin.fileno(), CHUNK):
                yield chunk
        else:
            yield Path(source).read_bytes()
    except OSError as error:
        raise InputError(error.strerror or str(error)) from None


def write_output(target: str, content: bytes) -> None:
    """Write ``content`` to the file ``target``, which is never half written, or to standard output for ``-``.

    Raises:
        OutputError: the file cannot be written.
    """
    if target == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}") from None


def warn(source: str, message: str) -> None:
    log.print(f"[yellow]warning[/] {escape(source)}: {escape(message)}", soft_wrap=True)
