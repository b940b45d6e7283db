"""Input files to output files: names, reading, writing, progress, and errors that do not stop the other files."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path
from types import FrameType

import typer
from rich.markup import escape

from rnncodec.atomic_file import replacing
from rnncodec.errors import InputError, OutputError, RnncodecError
from rnncodec.terminal import log, progress

CHUNK = 1 << 16  # bytes that are read from standard input at a time, at most

# Called with the number of steps of a file; returns a function that moves the progress bar by some steps, or by a part
# of one.
Step = Callable[[int], Callable[[float], None]]

# Converts one file: called with the names of the input and of the output, and a Step. It returns the content of the
# output, and a remark for the line that is printed.
Convert = Callable[[str, str, Step], tuple[bytes, str]]


def convert_all(
    files: list[str],
    output: str | None,
    suffix: str,
    overwrite: bool,
    load: Callable[[], Convert],
    is_input: Callable[[Path], bool],
    jobs: int = 1,
) -> None:
    """Convert each input file and write its output, with one progress bar for all and one line for each file. Of a
    folder all files for which ``is_input`` holds are converted, those in its folders too. Files of a folder whose
    output exists are left out, so that a command that was interrupted goes on when it is run again.

    All inputs and outputs are checked first. ``load`` returns the function that converts one file. It is called only if
    a file passes the checks, because it may have to import torch, which takes seconds. With several ``jobs`` it is
    called in as many processes, so that it must be picklable.
    """
    folders = [source for source in files if Path(source).is_dir()]
    into_folder = (
        output is not None
        and output != "-"
        and (len(files) > 1 or bool(folders) or output.endswith("/") or Path(output).is_dir())
    )
    targets: dict[str, str] = {}  # by source
    sources: dict[str, str] = {}  # by target
    finished = 0

    def plan(source: str) -> None:
        nonlocal finished
        if source not in folders:
            plan_file(source, target_of(source, output, suffix, into_folder))
            return
        found = sorted(path for path in Path(source).rglob("*") if path.is_file() and is_input(path))
        if not found:
            raise InputError("no file in this folder can be an input")
        for path in found:
            beside = Path(output) / path.relative_to(source) if output is not None else path
            target = str(beside.with_suffix(suffix))
            if Path(target).exists() and target not in sources and not overwrite:
                finished += 1
            else:
                plan_file(str(path), target)

    def plan_file(source: str, target: str) -> None:
        if target in sources and target != "-":
            raise OutputError(f"{target} is already the output of {sources[target]}")
        check_output(target, overwrite)
        check_input(source)
        targets[source], sources[target] = target, source

    failed, exit_code = run_each(files, plan)
    written = len(targets)
    if targets:
        wrong, code = _convert_here(targets, load) if jobs == 1 else _convert_in_processes(targets, load, jobs)
        written, failed, exit_code = written - wrong, failed + wrong, exit_code or code
    if len(files) > 1 or folders:
        kept = f", {finished:,} were finished before" if finished else ""
        log.print(f"{written:,} files written, {failed:,} failed{kept}")
    if exit_code:
        raise typer.Exit(exit_code)


def _convert_here(targets: dict[str, str], load: Callable[[], Convert]) -> tuple[int, int]:
    """Convert each source to its target in this process. Returns what `run_each` returns."""
    convert = load()
    with progress() as bar:
        task = bar.add_task(description(targets), total=len(targets))

        def one(source: str) -> None:
            started = bar.tasks[0].completed

            def step(total: int) -> Callable[[float], None]:
                if len(targets) > 1:
                    return lambda steps: bar.advance(task, steps / total)
                bar.update(task, total=total)
                return partial(bar.advance, task)

            try:
                remark = convert_file(convert, source, targets[source], step)
            finally:
                if len(targets) > 1:
                    bar.update(task, completed=started + 1)
            tell(source, targets[source], remark)

        return run_each(list(targets), one)


def _convert_in_processes(targets: dict[str, str], load: Callable[[], Convert], jobs: int) -> tuple[int, int]:
    """As `_convert_here`, in several processes, which share the processor's cores."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(min(jobs, len(targets)), get_context("spawn"), _start_worker, (load, threads))
    with progress() as bar:
        task = bar.add_task(description(targets), total=len(targets))
        try:
            running = {pool.submit(_work, source, target): source for source, target in targets.items()}

            def finish(future: Future[str]) -> None:
                try:
                    remark = future.result()
                except BrokenProcessPool:
                    raise OutputError("not written: a process ended, perhaps for want of memory") from None
                finally:
                    bar.advance(task)
                tell(running[future], targets[running[future]], remark)

            failed = exit_code = 0
            for future in as_completed(running):
                wrong, code = run_each([running[future]], lambda _, future=future: finish(future))  # type: ignore[misc]
                failed, exit_code = failed + wrong, exit_code or code
            return failed, exit_code
        except BaseException:
            for process in active_children():
                process.terminate()  # they remove files that are half written
            raise
        finally:
            pool.shutdown(cancel_futures=True)


_worker: dict[str, Convert] = {}  # the function of this process, if it is a worker; empty when it shall end


def _start_worker(load: Callable[[], Convert], threads: int) -> None:
    """Prepare a worker process to convert files on ``threads`` threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # torch, which load imports, reads it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends its workers
    signal.signal(signal.SIGTERM, _end_worker)
    _worker["convert"] = load()


def _end_worker(number: int, frame: FrameType | None) -> None:
    _worker.clear()
    sys.exit(128 + number)


def _work(source: str, target: str) -> str:
    if "convert" not in _worker:
        sys.exit(0)
    return convert_file(_worker["convert"], source, target, lambda total: lambda steps: None)


def convert_file(convert: Convert, source: str, target: str, step: Step) -> str:
    """Convert a file and write its output. Returns the remark for the line that is printed."""
    converted, remark = convert(source, target, step)
    write_output(target, converted)
    return remark


def tell(source: str, target: str, remark: str) -> None:
    log.print(f"{escape(source)} → {escape(target)}: {remark}", soft_wrap=True)


def description(targets: dict[str, str]) -> str:
    """What stands before the progress bar."""
    return f"{len(targets):,} files" if len(targets) > 1 else escape(Path(next(iter(targets))).name)


def run_each(files: list[str], action: Callable[[str], None]) -> tuple[int, int]:
    """Run ``action`` on each input. A failure is reported, and the other inputs are still processed. Returns the number
    of failures, and the exit code of the first, or 0."""
    failed = exit_code = 0
    for source in files:
        try:
            action(source)
        except RnncodecError as error:
            log.print(f"[red]error[/] {escape(source)}: {escape(str(error))}", soft_wrap=True)
            failed, exit_code = failed + 1, exit_code or error.exit_code
    return failed, exit_code


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


def check_output(target: str, overwrite: bool) -> None:
    """Raises OutputError if the file exists and shall be kept, or if nothing can be written to its folder."""
    path = Path(target)
    if target == "-":
        return
    if path.exists() and not overwrite:
        raise OutputError(f"{target} exists already; use --overwrite to replace it")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"{target} cannot be written: {folder} is {'read-only' if folder.is_dir() else 'no folder'}")


def write_output(target: str, content: bytes) -> None:
    """Write ``content`` to the file ``target``, which is never half written, or to standard output for ``-``.

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
    except OSError as error:
        name = "standard output" if target == "-" else target
        raise OutputError(f"{name} cannot be written: {error.strerror}") from None


def warn(source: str, message: str) -> None:
    log.print(f"[yellow]warning[/] {escape(source)}: {escape(message)}", soft_wrap=True)
