"""The processes of a training run.

Each process starts from the config that is saved in the run's folder, not from the command line: processes that repeat
the command line of a sweep would start the sweep again (hydra 2070, lightning 11300).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rnncodec.errors import BusyError, ConfigurationError, TrainingError
from rnncodec.training.fit import fit
from rnncodec.training.launch.slurm import requeue
from rnncodec.training.process.interruption import STOPPED, end_with_parent, interruption
from rnncodec.training.run.checkpoints import newest
from rnncodec.training.run.folder import CHECKPOINTS, FAILURE, LOCK
from rnncodec.training.run.outcome import started_again
from rnncodec.training.run.saved_config import load_config


def launch(folder: Path) -> None:
    """Train the run in ``folder`` to its end: on one device in this process, on several in one process for each.

    Raises:
        ConfigurationError: ``folder`` holds no run, or one on several machines.
        BusyError: another process trains it.
        TrainingError: every checkpoint in ``folder`` is damaged, or a process failed; its own message is on the
            terminal.
        SystemExit: with the code STOPPED, after a signal that asks to stop; a checkpoint is saved.
    """
    devices = devices_of(folder)
    with locked(folder):
        checkpoint = newest(folder / CHECKPOINTS)
        started_again(folder)
        if devices > 1:
            return run(folder, torchrun(devices), checkpoint)
        with interruption.watched():
            try:
                fit(folder, checkpoint)
            except SystemExit as end:
                if end.code == STOPPED:
                    requeue(interruption)
                raise


def launch_apart(folder: Path) -> None:
    """Do the same as `launch`, but never in this process: a job of a sweep that runs out of memory or crashes must not
    end the others."""
    devices = devices_of(folder)
    with locked(folder):
        checkpoint = newest(folder / CHECKPOINTS)
        started_again(folder)
        run(folder, torchrun(devices) if devices > 1 else [sys.executable], checkpoint)


def devices_of(folder: Path) -> int:
    """The number of devices of the run in ``folder``. Raises ConfigurationError if they are on several machines."""
    trainer = load_config(folder).trainer
    if trainer.get("num_nodes", 1) > 1:
        raise ConfigurationError(
            f"the run in {folder} trains on {trainer.num_nodes} machines; start it on each by torchrun or srun"
        )
    return int(trainer.devices)


def torchrun(devices: int) -> list[str]:
    """The command that starts one process for each device. If one of them fails, it ends the others."""
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]


def run(folder: Path, command: list[str], checkpoint: Path | None) -> None:
    """Run the processes of the run in ``folder``, as ``command`` starts them, and wait for their end.

    Raises:
        TrainingError: one of them failed.
        SystemExit: see `launch`.
    """
    environment = os.environ | {"TORCHELASTIC_SIGNALS_TO_HANDLE": "SIGTERM,SIGINT,SIGQUIT"}  # not SIGHUP
    devices = int(command[-1].partition("=")[2] or 1)
    if devices > 1:
        environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // devices))
    arguments = [str(folder), *([str(checkpoint)] if checkpoint else [])]
    with interruption.watched():
        process = subprocess.Popen(
            [*command, "-m", "rnncodec.training.fit", *arguments], env=environment, preexec_fn=_belongs_to_parent
        )
        interruption.child = process
        try:
            process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if process.returncode and interruption.received is not None:
            requeue(interruption)
            raise SystemExit(STOPPED)
    if process.returncode:
        raise TrainingError(f"training of {folder} failed: {reason(folder, process.returncode)}")


def reason(folder: Path, code: int) -> str:
    """Why a process of the run in ``folder`` ended with the exit code ``code``."""
    if (folder / FAILURE).is_file():
        return (folder / FAILURE).read_text().strip()
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}" + (
            ", as a system does that is out of memory" if -code == signal.SIGKILL else ""
        )
    return "one of its processes ended with an error"


def _belongs_to_parent() -> None:
    """Called in the new process, before the command starts. The process ends when its parent ends. It ignores
    SIGUSR1, SIGUSR2 and SIGHUP: the processes that train set handlers of their own for them, while torchrun would end
    at once."""
    end_with_parent()
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Inside the block no other process can train the run in ``folder``. Raises BusyError if one does."""
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout:
        raise BusyError(f"{folder} is being trained by another process") from None
