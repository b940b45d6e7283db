"""Input files to output files: names, reading, writing, progress, and errors that do not stop the other files."""

import sys
from collections.abc import Callable
from pathlib import Path

import typer
from rich.markup import escape

from rnncodec.errors import InputError, OutputError, RnncodecError
from rnncodec.files import replacing
from rnncodec.terminal import log, progress

# Called with the number of steps of a file; returns a function to call after each step, which moves the progress bar.
Step = Callable[[int], Callable[[], None]]


def convert_all(
    files: list[str],
    output: str | None,
    suffix: str,
    overwrite: bool,
    convert: Callable[[str, str, bytes, Step], tuple[bytes, str]],
) -> None:
    """Convert each input file and write its output, with a progress bar and one line for each file.

    ``convert(source, target, content, step)`` gets the names of the input and of the output and the content of the
    input. It returns the content of the output, and a remark for the line.
    """
    into_folder = (
        output is not None and output != "-" and (len(files) > 1 or output.endswith("/") or Path(output).is_dir())
    )
    with progress() as bar:

        def one(source: str) -> None:
            target = target_of(source, output, suffix, into_folder)
            if target != "-" and Path(target).exists() and not overwrite:
                raise OutputError(f"{target} exists already; use --overwrite to replace it")
            content = read_input(source)
            task = bar.add_task(escape(Path(source).name), total=None)

            def step(total: int) -> Callable[[], None]:
                bar.update(task, total=total)
                return lambda: bar.advance(task)

            try:
                converted, remark = convert(source, target, content, step)
            finally:
                bar.remove_task(task)
            write_output(target, converted)
            log.print(f"{escape(source)} → {escape(target)}: {remark}", soft_wrap=True)

        for_each(files, one)


def for_each(files: list[str], action: Callable[[str], None]) -> None:
    """Run ``action`` on each input. A failure is reported, and the other inputs are still processed. The exit code is
    that of the first failure."""
    exit_code = 0
    for source in files:
        try:
            action(source)
        except RnncodecError as error:
            log.print(f"[red]error[/] {escape(source)}: {escape(str(error))}", soft_wrap=True)
            exit_code = exit_code or error.exit_code
    if exit_code:
        raise typer.Exit(exit_code)


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


def read_input(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
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
