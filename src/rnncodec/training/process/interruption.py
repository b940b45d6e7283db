"""Signals that ask a run to stop: SIGINT (Ctrl-C), SIGTERM, SIGHUP (the terminal was closed), and SIGUSR1 and SIGUSR2,
which SLURM sends before the end of a job's time. Where SIGHUP is ignored, as under nohup, it stays so.

While it trains, a process notes the signal, and the callback LastCheckpoint saves a checkpoint after the step. At any
other time, as in a validation, the newest checkpoint is of the step it was at, and the process ends at once. Both end
with the exit code STOPPED. A process that started others passes the signal on to them as SIGTERM, and waits for their
end.
"""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from types import FrameType
from typing import Any, cast

STOPPED = 75  # "temporary failure" in sysexits.h: the run can go on from its checkpoint
AGAIN = 0.5  # seconds; `timeout` sends a signal twice, to the process and to its group
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Stopped(SystemExit):
    """A run was stopped by a signal."""

    def __init__(self) -> None:
        super().__init__(STOPPED)

    def __reduce__(self) -> tuple[Any, ...]:
        return Stopped, ()  # joblib passes it on from one process to another


class Interruption:
    """Which signal this process has received, if any, and the process that it passes signals on to."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.child: subprocess.Popen[bytes] | None = None
        self.training = False  # whether a checkpoint must be saved before the process may end
        self.since = 0.0  # when it was received, in seconds of the monotonic clock
        self.before: dict[int, Any] = {}

    @contextmanager
    def watched(self, signals: Iterable[int]) -> Iterator[None]:
        """Inside the block ``signals`` are noted and passed on; afterwards they are treated as before."""
        self.received, self.child, self.training = None, None, False
        self.before = {number: signal.signal(number, self._note) for number in signals}
        blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, self.before)  # see `leave_signals_to_jobs`
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            for number, handler in self.before.items():
                signal.signal(number, handler)

    def start_training(self) -> None:
        """From now on a signal is noted alone. The handlers are set again, because Lightning has set its own."""
        self.training = True
        for number in self.before:
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


def heeded() -> list[signal.Signals]:
    """Those of SIGNALS that stop a run which this process has started."""
    return [number for number in SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]


def stop(number: int, frame: FrameType | None) -> None:
    """A handler of signals that ends the process with the code STOPPED."""
    raise Stopped


def stop_between_jobs() -> None:
    """From now on a signal ends this process with the code STOPPED also where it is not `watched`."""
    for number in heeded():
        signal.signal(number, stop)


def leave_signals_to_jobs() -> None:
    """From now on a signal stops the jobs that joblib runs in processes of this one, and this one goes on until they
    have ended: joblib kills all its processes where one of them ends by a signal, or where an exception is raised here.
    A second Ctrl-C ends all at once.

    New processes inherit the blocked signals from this thread; they block them until a job watches for them. So another
    thread receives the signals of this process. Python runs the handlers in the main thread all the same.
    """
    from joblib.externals.loky.backend import resource_tracker as joblibs

    for tracker in (resource_tracker, joblibs):
        tracker.ensure_running()  # here, because to start one unblocks signals
    since: float | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal since
        again = since is not None and number == signal.SIGINT and time.monotonic() - since > AGAIN
        since = time.monotonic() if since is None else since
        jobs = multiprocessing.active_children()
        if again or not jobs:
            raise Stopped
        passed_on = signal.SIGTERM if number == signal.SIGINT else number  # a second SIGINT would not wait
        for job in jobs:
            with suppress(ProcessLookupError):
                os.kill(cast(int, job.pid), passed_on)

    for number in heeded():
        signal.signal(number, pass_on)
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, heeded())


PR_SET_PDEATHSIG = 1  # of prctl(2)


def belongs_to_parent() -> None:
    """Runs in a new process, before its program. It ends with the one that started it, and leaves all signals but
    SIGTERM to that one."""
    end_with_parent()
    for number in SIGNALS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)


def end_with_parent() -> None:
    """From now on the system ends this process when the one that started it ends, even if that was killed (on Linux
    alone). Otherwise the processes of a run that was killed would go on, beside those that take its place."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
