"""Which files a command converts, and where their outputs go. All of it is known before anything is written."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rnncodec.atomic_file import shortened
from rnncodec.cli.files import STANDARD_INPUT, STANDARD_OUTPUT, check_input, check_output, fail, run_each
from rnncodec.errors import InputError, OutputError
from rnncodec.pictures.folders import files_below, left_out
from rnncodec.terminal import say_left_out

SUFFIX = ".rnnc"
LONGEST_NAME = 255  # bytes, on most file systems


@dataclass(frozen=True)
class Kind:
    """What a command makes of what.

    Args:
        suffix: the ending of its outputs.
        is_input: whether a file of a folder is an input, by its name.
        is_own: whether an existing file can be an output of this command, and not a file of the user's.
    """

    suffix: str
    is_input: Callable[[Path], bool]
    is_own: Callable[[Path], bool]


@dataclass
class Plan:
    """The outputs by their inputs, and how many files of folders need no work, are left out, or cannot be converted.
    ``exit_code`` is that of the first of these, or 0."""

    outputs: dict[str, str] = field(default_factory=dict)
    finished: int = 0
    left_out: int = 0
    failed: int = 0
    exit_code: int = 0

    def fail(self, source: str, error: Exception) -> None:
        """Report and count a failure."""
        code = fail(source, error)
        self.failed, self.exit_code = self.failed + 1, self.exit_code or code


def make_plan(files: list[str], output: str | None, kind: Kind, overwrite: bool) -> Plan:
    """The plan for the inputs ``files``, which may be folders, and the output that the user named.

    The output of a file has its name with another ending. That of a file in a folder has the whole name of the file and
    another ending, ``a.jpg.rnnc``: so ``a.jpg`` and ``a.png`` have two outputs, also if one of them comes later. Of
    several folders each has a folder of its name in the output folder.

    A file of a folder is finished if its output is there and not older. If it is older, the output is written anew.
    """
    plan = Plan()
    files = ["-" if source in STANDARD_INPUT else source for source in files]
    output = "-" if output in STANDARD_OUTPUT else output
    folders = {source for source in files if os.path.isdir(source)}
    if output == "-" and (folders or len(files) > 1):
        raise OutputError("standard output takes one file; name a folder for the outputs of several")
    place = _place(files, bool(folders), output)
    inputs: dict[str, str] = {}  # by the place of their outputs
    targets: dict[str, str] = {}  # the outputs by their inputs, those that are finished too

    def note(source: str, target: str) -> None:
        if (key := _file_of(target)) in inputs:
            raise OutputError(f"{target} is already the output of {inputs[key]}")
        if source in targets:
            raise OutputError(f"{source} is already converted to {targets[source]}")
        inputs[key], targets[source] = source, target

    def add(source: str, target: str, replace: bool) -> None:
        check_input(source)
        note(source, target)
        check_output(target, replace)
        plan.outputs[source] = target

    def add_from_folder(source: str, target: str) -> None:
        path = Path(target)
        there = path.is_file() and not overwrite and _file_of(target) not in inputs
        if there and (os.path.samefile(source, target) or not kind.is_own(path)):
            raise OutputError(f"{target} exists already, and is no output of this file; use --overwrite to replace it")
        if there and path.stat().st_mtime_ns >= os.stat(source).st_mtime_ns:
            note(source, target)
            plan.finished += 1
        else:
            add(source, target, replace=there or overwrite)

    def add_folder(source: str) -> None:
        def unreadable(folder: Path, reason: str) -> None:
            plan.fail(str(folder), InputError(f"this folder cannot be read: {reason}"))

        failed = plan.failed
        found = files_below(Path(source), unreadable)
        if place is not None and is_below(place, Path(source)):  # what is there are outputs, of an earlier call too
            found = [path for path in found if not is_below(path, place)]
        paths = [path for path in found if kind.is_input(path) and (path.is_file() or not path.exists())]
        known = set(paths)
        others = [path for path in found if path not in known and path.suffix.lower() != kind.suffix]
        for line in left_out(others):
            say_left_out(line)
        plan.left_out += sum(not path.name.startswith(".") for path in others)
        if not paths and failed == plan.failed:
            raise InputError("no file in this folder can be an input")
        for path in paths:
            beside = path if place is None else place / _own_folder(source, files) / path.relative_to(source)
            target = str(beside.with_name(_name_of_folder_file(path, kind.suffix)))
            try:
                add_from_folder(str(path), target)
            except Exception as error:
                plan.fail(str(path), error)

    alone = [source for source in files if source not in folders]
    short = (_target(source, output, place, kind.suffix, whole=False) for source in dict.fromkeys(alone))
    names = Counter(map(_file_of, short))

    def add_input(source: str) -> None:
        if source in folders:
            add_folder(source)
        elif source == "-" and place is not None:
            raise OutputError("standard input has no name to use in a folder; name an output file")
        else:
            target = _target(source, output, place, kind.suffix, whole=False)
            if names[_file_of(target)] > 1 and (place is not None or output is None):
                target = _target(source, output, place, kind.suffix, whole=True)
            add(source, target, overwrite)

    failed, code = run_each(files, add_input)
    plan.failed, plan.exit_code = plan.failed + failed, plan.exit_code or code
    return plan


def _place(files: list[str], folders: bool, output: str | None) -> Path | None:
    """The folder that the user named for the outputs; None if outputs are beside their inputs, or in one named file."""
    if output is None or output == "-":
        return None
    return Path(output) if len(files) > 1 or folders or output.endswith("/") or os.path.isdir(output) else None


def _own_folder(source: str, files: list[str]) -> Path:
    """The folder, in that for all outputs, in which those of the folder ``source`` are."""
    return Path(os.path.basename(os.path.abspath(source))) if len(files) > 1 else Path()


def is_below(path: Path, folder: Path) -> bool:
    """Whether ``path`` is in ``folder``, or in a folder below it."""
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents


def _file_of(target: str) -> str:
    """The same for all names of one file, also through links to folders."""
    return target if target == "-" else os.path.realpath(target)


def _target(source: str, output: str | None, place: Path | None, suffix: str, whole: bool) -> str:
    """The output for a file that the user named. ``whole``: with its whole name."""
    if place is None and output is not None:
        return output
    if source in ("-", ""):
        return source
    path = Path(source)
    name = _with_ending(path.name if whole else path.stem, suffix)
    return str(path.with_name(name) if place is None else place / name)


def _name_of_folder_file(path: Path, suffix: str) -> str:
    """The name of the output for a file of a folder."""
    return _with_ending(path.stem if path.suffix.lower() == SUFFIX else path.name, suffix)


def _with_ending(name: str, suffix: str) -> str:
    return shortened(name, LONGEST_NAME - len(suffix)) + suffix
