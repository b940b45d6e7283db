"""The project's commands as processes that need not import PyTorch and Lightning again.

Each command is a process of its own with its own environment, and may be killed. It is forked from a server that has
imported tests/preloaded.py, which takes 5 seconds of CPU, more than most of what tests let a command do after that. The
Python processes that a command starts (tests/forks.py) are forked from it for the same reason. Each process imports the
modules of rnncodec itself.
"""

import multiprocessing
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any

from tests.forks import behave_as_python, fork_what_starts_python

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.preloaded"])
ADDRESS = "RNNCODEC_TESTS_SERVER"  # the variable that names the socket of a shared server


def share_server() -> None:
    """Start the server for the processes that this one starts: those of pytest-xdist."""
    forkserver.ensure_running()
    os.environ[ADDRESS] = forkserver._forkserver._forkserver_address  # type: ignore[attr-defined]


def use_shared_server() -> None:
    """Use the server of the process that has started this one, if it shares one."""
    if ADDRESS in os.environ:
        server = forkserver._forkserver  # type: ignore[attr-defined]
        server._forkserver_address = os.environ.pop(ADDRESS)
        server._forkserver_alive_fd = os.pipe()[1]  # with the true one the server ends when nobody has it any more
        server.ensure_running = resource_tracker.ensure_running


class Command:
    """A process that runs ``python ARGUMENTS`` in ``folder``. The first of ``arguments`` is the path of a program, or
    ``-m``. It reads ``content``, and leads a session of its own, whose terminal is ``terminal`` if that is given: then
    it reads and prints there."""

    def __init__(
        self,
        *arguments: object,
        environment: Mapping[str, str],
        folder: Path | None = None,
        content: bytes = b"",
        terminal: str = "",
    ) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self.streams = tempfile.TemporaryDirectory(prefix="command-")
        paths = [str(Path(self.streams.name) / name) for name in ("stdin", "stdout", "stderr")]
        for path, text in zip(paths, (content, b"", b""), strict=True):
            Path(path).write_bytes(text)
        given = (self.arguments, dict(environment), folder or Path.cwd(), paths, terminal)
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


def perform(arguments: list[str], environment: dict[str, str], folder: Path, streams: list[str], terminal: str) -> None:
    """Runs in the new process: make it what ``python ARGUMENTS`` would be."""
    os.setsid()
    for number, path in enumerate([terminal] * 3 if terminal else streams):
        stream = os.open(path, (os.O_RDWR if number or terminal else os.O_RDONLY) | os.O_APPEND)
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    fork_what_starts_python()
    behave_as_python(arguments)
