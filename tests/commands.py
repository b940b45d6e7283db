"""The project's commands as processes that need not import PyTorch and Lightning again.

Each command is a process of its own with its own environment, and may be killed. It is forked from a server that has
imported PACKAGES, which takes 5 seconds of CPU, more than most of what tests let a command do after that. Each process
imports the modules of rnncodec itself.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGES = [
    # wandb looks through all modules that are there: it is quick while they are few.
    "wandb.apis.public", "wandb.sdk.launch",
    "torch._dynamo", "lightning.pytorch", "lightning.pytorch.loggers", "torchmetrics.functional.image", "hydra",
    "omegaconf", "webdataset", "jinja2", "filelock", "dotenv", "rich.progress", "rich.table", "typer", "PIL.Image",
    "safetensors.torch", "constriction", "matplotlib.figure", "matplotlib.backends.backend_agg",
]  # fmt: skip

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(PACKAGES)


class Command:
    """A process that runs ``python ARGUMENTS`` in ``folder``. The first of ``arguments`` is the path of a program, or
    ``-m``. It reads ``content``, and leads a session of its own."""

    def __init__(
        self, *arguments: object, environment: Mapping[str, str], folder: Path | None = None, content: bytes = b""
    ) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self.streams = tempfile.TemporaryDirectory(prefix="command-")
        for name, text in (("stdin", content), ("stdout", b""), ("stderr", b"")):
            (Path(self.streams.name) / name).write_bytes(text)
        given = (self.arguments, dict(environment), folder or Path.cwd(), self.streams.name)
        self.process = SERVER.Process(target=perform, args=given)
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def kill(self) -> None:
        """End the process, and no other."""
        self.process.kill()

    def wait(self, seconds: float = 240, text: bool = True) -> subprocess.CompletedProcess[Any]:
        """What it has printed, as text or as bytes, and how it has ended."""
        try:
            self.process.join(seconds)
            assert self.process.exitcode is not None, f"{self.arguments} did not end in {seconds} seconds"
        except BaseException:
            os.killpg(self.pid, signal.SIGKILL)
            raise
        printed = [Path(self.streams.name) / name for name in ("stdout", "stderr")]
        out, err = (path.read_text() if text else path.read_bytes() for path in printed)
        return subprocess.CompletedProcess(self.arguments, self.process.exitcode, out, err)


def perform(arguments: list[str], environment: dict[str, str], folder: Path, streams: str) -> None:
    """Runs in the new process: make it what ``python ARGUMENTS`` would be, and run that."""
    os.setsid()
    multiprocessing.set_start_method(None, force=True)  # that of a new Python
    for number, (name, flags) in enumerate([("stdin", os.O_RDONLY), ("stdout", os.O_RDWR), ("stderr", os.O_RDWR)]):
        stream = os.open(Path(streams) / name, flags | os.O_APPEND)
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    atexit._clear()  # what the server has made is not removed when this process ends
    for finalizer in list(weakref.finalize._registry):
        finalizer.detach()
    atexit.register(weakref.finalize._exitfunc)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    program, *options = arguments
    place = str(folder) if program == "-m" else str(Path(program).parent)
    sys.path[:0] = [place, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    try:
        if program == "-m":
            sys.argv = options
            runpy.run_module(options[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            runpy.run_path(program, run_name="__main__")
    finally:  # as at the end of Python: first joblib ends its processes here, for which multiprocessing would wait
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
