"""Converting many files: the plan, a progress bar, processes, one line for each file, and the counts at the end."""

import os
from collections.abc import Callable
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import typer
from rich.markup import escape

from rnncodec.cli.files import explained, fail, modified, write_output
from rnncodec.cli.plan import Kind, make_plan
from rnncodec.coding.workers import Workers
from rnncodec.cores import available_cores, warn_of_few_cores
from rnncodec.errors import OutputError, RnncodecError
from rnncodec.terminal import log, printable, progress

# Called with the number of steps of a file; returns a function that moves the progress bar by some steps, or by a part
# of one.
Step = Callable[[int], Callable[[float], None]]


@dataclass(frozen=True)
class Converted:
    """What became of a file: the content of its output, None if it shall have none; a remark for the line that is
    printed; and whether the output is larger than the input."""

    content: bytes | None
    remark: str
    larger: bool = False


# Converts one file: called with the names of the input and of the output, and a Step.
Convert = Callable[[str, str, Step], Converted]


@dataclass
class Counts:
    """How many files were written, were left out because they would be larger, and are larger; and the exit codes of
    those that failed."""

    written: int = 0
    skipped: int = 0
    larger: int = 0
    failed: dict[str, int] = field(default_factory=dict)

    def fail(self, source: str, error: Exception) -> None:
        """Report and count a failure."""
        self.failed[source] = fail(source, error)

    def done(self, source: str, target: str, converted: Converted) -> None:
        """Report and count a file that was converted."""
        skipped = converted.content is None
        self.written, self.skipped = self.written + (not skipped), self.skipped + skipped
        self.larger += converted.larger and not skipped
        result = "left out" if skipped else escape(target)
        log.print(f"{escape(source)} → {result}: {converted.remark}", soft_wrap=True)


def convert_all(
    files: list[str],
    output: str | None,
    kind: Kind,
    overwrite: bool,
    load: Callable[[], Convert],
    keep_time: bool,
    jobs: int = 1,
) -> None:
    """Convert each input file and write its output, with one progress bar for all and one line for each file, as
    `make_plan` says. A file that fails does not keep the others from being converted. With ``keep_time`` an output has
    the modification time of its input.

    ``load`` returns the function that converts one file. It is called only if there is a file to convert, because it
    may have to import torch, which takes seconds. With several ``jobs`` it is called in as many processes, so that it
    must be picklable.

    Raises:
        typer.Exit: with the exit code of the first file that failed, in the order of the plan.
    """
    plan = make_plan(files, output, kind, overwrite)
    counts = Counts()
    if plan.outputs:
        warn_of_few_cores(min(jobs, len(plan.outputs)), f"--jobs {jobs}")
        # Another process has neither this one's standard input nor its open files and pipes, as of the shell's <(…).
        alone = jobs == 1 or not all(map(os.path.isfile, plan.outputs)) or any(map(is_open, plan.outputs.values()))
        run = _convert_here if alone else partial(_convert_in_processes, jobs=jobs)
        run(plan.outputs, load, keep_time, counts)
    if len(files) > 1 or any(map(os.path.isdir, files)):
        others = {
            "were finished before": plan.finished,
            "skipped, they would be larger than their inputs": counts.skipped,
            "larger than their inputs (see --skip-larger)": counts.larger,
            "of other kinds left out": plan.left_out,
        }
        told = "".join(f", {number:,} {what}" for what, number in others.items() if number)
        failed = plan.failed + len(counts.failed)
        log.print(f"{counts.written:,} files written, {failed:,} failed{told}", soft_wrap=True)
    codes = [plan.exit_code, *(counts.failed.get(source, 0) for source in plan.outputs)]
    if any(codes):
        raise typer.Exit(next(filter(None, codes)))


def is_open(target: str) -> bool:
    """Whether an output is something that is open in this process, or no regular file."""
    return os.path.abspath(target).startswith(("/dev/", "/proc/")) or (
        os.path.exists(target) and not os.path.isfile(target)
    )


def _convert_here(outputs: dict[str, str], load: Callable[[], Convert], keep_time: bool, counts: Counts) -> None:
    """Convert each input to its output in this process."""
    convert = load()
    with progress() as bar:
        task = bar.add_task(_description(outputs), total=len(outputs))
        for number, (source, target) in enumerate(outputs.items(), start=1):

            def step(total: int) -> Callable[[float], None]:
                if len(outputs) > 1:
                    return lambda steps: bar.advance(task, steps / total)
                bar.update(task, total=total)
                return partial(bar.advance, task)

            try:
                counts.done(source, target, convert_file(convert, source, target, step, keep_time))
            except Exception as error:  # one odd file must not keep the others from being converted
                counts.fail(source, error)
            if len(outputs) > 1:
                bar.update(task, completed=number)


def _convert_in_processes(
    outputs: dict[str, str], load: Callable[[], Convert], keep_time: bool, counts: Counts, jobs: int
) -> None:
    """As `_convert_here`, in several processes, which share the processor's cores."""
    threads = max(1, available_cores() // jobs)
    left = dict(outputs)

    def pool(processes: int) -> Workers:
        return Workers(processes, _start_worker, load, threads, keep_time)

    with progress() as bar:
        task = bar.add_task(_description(outputs), total=len(outputs))

        def finish(source: str, future: Future[Converted]) -> None:
            """Report a file; one whose process ended stays among those that are left."""
            try:
                counts.done(source, outputs[source], future.result())
            except (BrokenProcessPool, LoadingError):
                raise
            except Exception as error:
                counts.fail(source, error)
            del left[source]
            bar.advance(task)

        try:
            with pool(min(jobs, len(left))) as several:
                running = {several.submit(_work, *each): each[0] for each in left.items()}
                for future in as_completed(running):
                    try:
                        finish(running[future], future)
                    except BrokenProcessPool:  # all files that are left have this error, whoever is to blame
                        break
            while left:  # one at a time, to know which file ends its process
                with pool(1) as one:
                    for source, target in list(left.items()):
                        try:
                            finish(source, one.submit(_work, source, target))
                        except BrokenProcessPool:
                            lost = OutputError("not written: its process ended, perhaps for want of memory")
                            counts.fail(source, lost)
                            del left[source]
                            bar.advance(task)
                            break
        except LoadingError as error:
            raise error.args[0] from None


class LoadingError(Exception):
    """The error that kept a worker process from loading what converts files."""


_worker: dict[str, Callable[[str, str], Converted]] = {}  # the function of this process, if it is a worker


def _start_worker(load: Callable[[], Convert], threads: int, keep_time: bool) -> None:
    """Prepare a worker process to convert files on ``threads`` threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # torch, which load imports, reads it
    try:
        convert = load()
    except RnncodecError as error:
        not_loaded = LoadingError(error)

        def refuse(source: str, target: str) -> Converted:
            raise not_loaded

        _worker["convert"] = refuse
        return

    def work(source: str, target: str) -> Converted:
        try:
            converted = convert_file(convert, source, target, lambda total: lambda steps: None, keep_time)
        except Exception as error:
            raise explained(error) from None  # other errors may not reach the main process
        return converted if converted.content is None else replace(converted, content=b"")  # it is written already

    _worker["convert"] = work


def _work(source: str, target: str) -> Converted:
    return _worker["convert"](source, target)


def convert_file(convert: Convert, source: str, target: str, step: Step, keep_time: bool) -> Converted:
    """Convert a file and write its output."""
    time = modified(source)  # before it is read: if it changes later, it is newer
    converted = convert(source, target, step)
    if converted.content is not None:
        write_output(target, converted.content, time if keep_time else None)
    return converted


def _description(outputs: dict[str, str]) -> str:
    """What stands before the progress bar."""
    return f"{len(outputs):,} files" if len(outputs) > 1 else printable(Path(next(iter(outputs))).name)
