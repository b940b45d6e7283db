"""Python processes that are forked from the one that starts them, which has imported most of what they need.

`subprocess`, `multiprocessing` and joblib all start a process by ``_posixsubprocess.fork_exec``. Here it leaves out the
"exec": the new process is as much a child of the one that starts it, with the same environment, streams, folder and
signals. It forgets the modules that its parent has imported on its own.
"""

import _posixsubprocess
import atexit
import builtins
import gc
import io
import logging
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from omegaconf import OmegaConf

COLD = "resource_tracker"  # starts quickly by itself

cold: Callable[..., int] = _posixsubprocess.fork_exec
search_path, filters = sys.path[:], warnings.filters[:]  # of a new Python
names = set(vars(builtins))
known: set[str] = set()  # modules


def fork_what_starts_python() -> None:
    """From now on fork the Python processes that this one starts. They have the modules that are imported by now."""
    known.update(sys.modules)
    _posixsubprocess.fork_exec = fork_exec
    subprocess._fork_exec = fork_exec  # type: ignore[attr-defined]


def fork_exec(
    arguments: Sequence[Any],
    programs: Sequence[Any],
    close: bool,
    kept: tuple[int, ...],
    folder: Any,
    environment: list[bytes] | None,
    *others: Any,
) -> int:
    """As in CPython's Modules/_posixsubprocess.c, except that Python is forked."""
    words = [os.fsdecode(argument) for argument in arguments]
    python = os.fsdecode(programs[0]) == sys.executable and not any(COLD in word for word in words)
    if not python or any("wandb" in thread.name.lower() for thread in threading.enumerate()):
        return cold(arguments, programs, close, kept, folder, environment, *others)
    ends, failure, (session, group) = others[:6], others[7], others[9:11]
    before = next((each for each in others[11:] if callable(each)), None)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    gc.freeze()  # see tests/preloaded.py
    pid = os.fork()
    if pid:
        return pid
    try:
        become_child(ends, (*kept, failure) if close else None, folder, environment)
        if session:
            os.setsid()
        if group >= 0:
            os.setpgid(0, group)
        handle_signals()
        if before is not None:
            before()
        os.close(failure)  # as exec does: so the parent knows that all went well
        forget()
        behave_as_python(words[1:])
    except SystemExit as ended:
        end(ended.code)
    except BaseException:
        traceback.print_exc()
        end(1)
    end(0)
    raise AssertionError("not reached")


def handle_signals() -> None:
    """As a new Python does: what was ignored stays ignored."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def become_child(
    ends: Sequence[int], kept: tuple[int, ...] | None, folder: Any, environment: list[bytes] | None
) -> None:
    """Take the streams that the parent gives (``ends``: both ends of the pipe of each, -1 if there is none), close the
    other open files but ``kept``, and take the folder and the environment."""
    for number, given in enumerate((ends[0], ends[3], ends[5])):
        if given >= 0:
            os.dup2(given, number)
    if kept is not None:
        for file in os.listdir("/dev/fd"):
            if int(file) > 2 and int(file) not in kept:
                try:
                    os.close(int(file))
                except OSError:  # that of the list itself
                    continue
    if folder is not None:
        os.chdir(folder)
    if environment is not None:
        os.environ.clear()
        os.environb.update(tuple(each.split(b"=", 1)) for each in environment)  # type: ignore[arg-type]


def end(code: object) -> None:
    """As at the end of Python, with the exit code of ``SystemExit(code)``."""
    if not isinstance(code, int) and code is not None:
        print(code, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit((code or 0) & 0xFF)


def forget() -> None:
    """Forget the modules that the parent has imported, and Hydra's: their state is what the parent has done."""
    for name in list(sys.modules):
        if name not in known or name.partition(".")[0] == "hydra":
            del sys.modules[name]
    for name in vars(builtins).keys() - names:  # by which IPython is known
        delattr(builtins, name)
    OmegaConf.clear_resolvers()  # which modules register when they are imported
    sys.path[:] = search_path
    warnings.filters[:] = filters  # type: ignore[index]
    logging.root.handlers.clear()
    logging.root.setLevel(logging.WARNING)
    for number, name in enumerate(("stdout", "stderr"), start=1):
        buffer = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        lines = number == 2 or os.isatty(number)
        stream = io.TextIOWrapper(buffer, errors="backslashreplace" if number == 2 else None, line_buffering=lines)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def behave_as_python(arguments: list[str]) -> None:
    """Run ``python ARGUMENTS`` in this process, to its end."""
    multiprocessing.set_start_method(None, force=True)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    atexit._clear()  # what the parent has made is not removed when this process ends
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.detach()
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
    while arguments[0][0] == "-" and arguments[0] not in ("-m", "-c"):  # -u
        arguments = arguments[1:]
    program, *options = arguments
    place = str(Path(program).parent.absolute()) if program not in ("-m", "-c") else os.getcwd()
    sys.path[:0] = [place, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    try:
        if program == "-m":
            sys.argv = options
            runpy.run_module(options[0], run_name="__main__", alter_sys=True)
        elif program == "-c":
            sys.argv = ["-c", *options[1:]]
            main = sys.modules["__main__"] = ModuleType("__main__")
            exec(options[0], main.__dict__)
        else:
            sys.argv = arguments
            runpy.run_path(program, run_name="__main__")
    finally:  # as at the end of Python: first joblib ends its processes here, for which multiprocessing would wait
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
