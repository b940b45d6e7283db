"""Signals that ask a run to stop: SIGINT (Ctrl-C), SIGTERM, and SIGUSR1 and SIGUSR2, which SLURM sends before the end
of a job's time.

While it trains, a process notes the signal, and the callback LastCheckpoint saves a checkpoint after the step. At any
other time, as in a validation, the newest checkpoint is of the step it was at, and the process ends at once. Both end
with the exit code STOPPED. A process that started others passes the signal on to them, and waits for their end.
"""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOPPED = 75  # "temporary failure" in sysexits.h: the run can go on from its checkpoint
AGAIN = 0.5  # seconds; `timeout` sends a signal twice, to the process and to its group
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Stopped(SystemExit):
    """A run was stopped by a signal, after ``step`` if it was training."""

    def __init__(self, step: int | None = None) -> None:
        super().__init__(STOPPED)
        self.step = step


class Interruption:
    """Which signal this process has received, if any, and the process that it passes signals on to."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.child: subprocess.Popen[bytes] | None = None
        self.training = False  # whether a checkpoint must be saved before the process may end
        self.since = 0.0  # when it was received, in seconds of the monotonic clock
        self.before: dict[int, Any] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Inside the block signals are noted and passed on; afterwards their handlers are as before."""
        self.received, self.child, self.training = None, None, False
        self.before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in self.before.items():
                signal.signal(number, handler)

    def start_training(self) -> None:
        """From now on a signal is noted alone. The handlers are set again, because Lightning has set its own."""
        self.training = True
        for number in SIGNALS:
            signal.signal(number, self._note)

    def pause_training(self) -> None:
        """From now on a signal ends the process at once; one that was noted ends it now."""
        self.training = False
        if self.received is not None:
            raise Stopped

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self.since = number, time.monotonic()
            if self.child is None and not self.training:
                raise Stopped
        elif number == self.received == signal.SIGINT and time.monotonic() - self.since > AGAIN:
            raise KeyboardInterrupt  # the second Ctrl-C: the user does not want to wait
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()


interruption = Interruption()

PR_SET_PDEATHSIG = 1  # of prctl(2)


def end_with_parent() -> None:
    """From now on the system ends this process when the one that started it ends, even if that was killed (on Linux
    alone). Otherwise the processes of a run that was killed would go on, beside those that take its place."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
