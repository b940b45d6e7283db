"""Signals that ask a run to stop: SIGTERM, and SIGUSR1 and SIGUSR2, which SLURM sends before the end of a job's time.

The process that trains notes the signal, saves a checkpoint after the batch, and ends with the exit code STOPPED. A
process that started others passes the signal on to them, and waits for their end.
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch

STOPPED = 75  # "temporary failure" in sysexits.h: the run can go on from its checkpoint
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Interruption:
    """Which signal this process has received, if any, and the processes that it passes signals on to."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.child: subprocess.Popen[bytes] | None = None
        self.before: dict[int, Any] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Inside the block signals are noted and passed on; afterwards their handlers are as before."""
        self.received, self.child = None, None
        self.before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in self.before.items():
                signal.signal(number, handler)

    def again(self) -> None:
        """Set the handlers again, after another library has set its own."""
        for number in SIGNALS:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()  # torchrun, too, passes SIGTERM on


interruption = Interruption()


def end_with_parent() -> None:
    """From now on the system ends this process when the one that started it ends, even if that was killed (on Linux).
    Otherwise the processes of a run that was killed would go on, beside those that take its place."""
    torch.multiprocessing._prctl_pr_set_pdeathsig(signal.SIGKILL)  # type: ignore[attr-defined]
