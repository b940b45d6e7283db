"""The three ways that train.py starts a run: alone, as a job of a sweep, and as one of the processes of torchrun.

Each process of a run starts from the config that is saved in the run's folder, not from the command line: processes
that repeat the command line of a sweep would start the sweep again (hydra 2070, lightning 11300).
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from rnncodec.errors import BusyError, ConfigurationError, RnncodecError, TrainingError
from rnncodec.terminal import log
from rnncodec.training.fit import fit
from rnncodec.training.launch.prepare import prepare, resume
from rnncodec.training.launch.slurm import requeue, restarted
from rnncodec.training.launch.sweep import check_same
from rnncodec.training.process.connection import connect, disconnect, from_first
from rnncodec.training.process.device import resolve_accelerator, threads_each
from rnncodec.training.process.hangup import outlive_terminal
from rnncodec.training.process.interruption import STOPPED, Stopped, belongs_to_parent, heeded, interruption
from rnncodec.training.process.ranks import is_first, local_world_size, world_size
from rnncodec.training.run.checkpoints import newest, steps_in
from rnncodec.training.run.folder import CHECKPOINTS, CONFIG, FAILURE, LOCK, RESULT, holds_run
from rnncodec.training.run.outcome import forget_failure, read_result, started_again, write_failure
from rnncodec.training.run.saved_config import load_config

PATIENCE = 20  # seconds that a job which was stopped waits for the others


def single(config: DictConfig, folder: Path, overrides: Sequence[str]) -> float | None:
    """Train the run that ``config`` describes in ``folder``, or go on with the run there.

    Raises:
        RnncodecError: an option cannot work, or the training failed.
        SystemExit: with the code STOPPED, after a signal that asks to stop; a checkpoint is saved.
    """
    with locked(folder), stoppable(folder), resumed_or_unchanged(config, folder):
        begin(config, folder, overrides)
        devices = processes_of(folder)
        started_again(folder)
        if devices == 1:
            fit(folder)
        else:
            fit_apart(folder, devices)
    return optimized(folder)


def job(config: DictConfig, folder: Path) -> float | None:
    """Train a job of a sweep: it is left out if it is finished, and goes on if it was cut off. If it fails, its folder
    says why. It never trains in this process: a job that runs out of memory or crashes must not end the others.

    Raises: see `single`.
    """
    if config.resume is not None:
        raise ConfigurationError("resume= continues one run, and does not work with -m; start it without")
    if interruption.received is not None:  # joblib gives one job after the other to a process
        raise Stopped
    try:
        with locked(folder), stoppable(folder):
            if holds_run(folder):
                check_same(config, folder)
            else:
                prepare(config, folder)
            if read_result(folder) is None:
                started_again(folder)
                fit_apart(folder, processes_of(folder))
            else:
                forget_failure(folder)
                log.print(f"{folder} is finished already", soft_wrap=True)
        return optimized(folder)
    except Stopped:
        wait_for_other_jobs(folder)
        raise
    except BusyError:
        raise
    except RnncodecError as error:
        write_failure(folder, str(error))
        raise
    except Exception as error:
        write_failure(folder, f"{type(error).__name__}: {error}")
        raise


def wait_for_other_jobs(folder: Path) -> None:
    """Under joblib, wait until the other jobs of this sweep have stopped, too: it kills them when one has ended by an
    exception."""
    if "joblib" not in HydraConfig.get().launcher._target_:
        return
    end = time.monotonic() + PATIENCE
    for lock in folder.parent.glob(f"*/{LOCK}"):
        with contextlib.suppress(Timeout, OSError), FileLock(lock, timeout=max(0, end - time.monotonic())):
            pass


def train_rank(config: DictConfig, folder: Path, overrides: Sequence[str]) -> float | None:
    """Train as one of the processes that torchrun or srun has started, on one machine or on several. The first of them
    makes the folder, and the others use the same.

    Raises: see `single`.
    """
    gpu = resolve_accelerator(config.trainer.accelerator) in ("cuda", "gpu")
    here = local_world_size()
    started = OmegaConf.create({"trainer": {"devices": here, "num_nodes": world_size() // here}})
    config = cast(DictConfig, OmegaConf.merge(config, started))
    connect(gpu)
    with contextlib.ExitStack() as stack:
        error = ""
        if is_first():
            try:
                stack.enter_context(locked(folder))
                stack.enter_context(resumed_or_unchanged(config, folder))
                begin(config, folder, overrides, started)
                started_again(folder)
            except RnncodecError as raised:
                error = str(raised)
        first, error = from_first((folder, error))
        if folder != first:
            with contextlib.suppress(OSError):  # another process has removed it, or uses it
                folder.rmdir()  # Hydra has made it, a second later
        if error:
            raise ConfigurationError(error)
        with stoppable(first):
            fit(first)
    disconnect()
    return optimized(first)


def begin(config: DictConfig, folder: Path, overrides: Sequence[str], started: DictConfig | None = None) -> None:
    """Make ``folder`` that of a new run, or of the old one that ``config.resume`` names. The folder of a job that was
    requeued holds its run already. ``started`` says how many processes torchrun or srun has started for the run: they
    need not be as many as before."""
    if config.resume is not None:
        resume(folder, overrides, started)
    elif restarted() and holds_run(folder):
        check_same(config, folder)
        resume(folder, [], started)
    else:
        prepare(config, folder)


def optimized(folder: Path) -> float | None:
    """The figure of a finished run that its option ``optimized_metric`` names; None if it was not measured."""
    result = read_result(folder)
    return None if result is None else result["metrics"].get(load_config(folder).get("optimized_metric"))


def processes_of(folder: Path) -> int:
    """The number of processes of the run in ``folder``. Raises ConfigurationError if they are on several machines."""
    trainer = load_config(folder).trainer
    if trainer.get("num_nodes", 1) > 1:
        raise ConfigurationError(
            f"the run in {folder} trains on {trainer.num_nodes} machines; start it on each by torchrun or srun"
        )
    return int(trainer.devices)


@contextmanager
def stoppable(folder: Path) -> Iterator[None]:
    """Inside the block signals stop the run in ``folder``, which is then said in one line. A terminal that closes takes
    no more text; it goes into a file of the run."""
    outlive_terminal(folder)
    with interruption.watched(heeded()):
        try:
            yield
        except Stopped:
            if is_first():
                say_stopped(folder, interruption.received)
                requeue(interruption)
            raise


def say_stopped(folder: Path, number: int | None) -> None:
    """Say, in one line, that a signal has stopped the run in ``folder``, and how it goes on."""
    name = signal.Signals(number).name if number else "a signal"
    path = newest(folder / CHECKPOINTS, quiet=True)
    state = f"after step {steps_in(path)}; a checkpoint is saved" if path else "before its first checkpoint"
    goes_on = f"; resume={folder} goes on" if holds_run(folder) else ""
    log.print(f"stopped by {name} {state}{goes_on}", soft_wrap=True, markup=False)


def fit_apart(folder: Path, processes: int) -> None:
    """Train the run in ``folder`` in a new process. This is the first of several: Lightning starts the others from it,
    with the same command, and ends all if one fails."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rnncodec.training.fit", str(folder)],
        env=os.environ | ({"OMP_NUM_THREADS": str(threads_each(processes))} if processes > 1 else {}),
        preexec_fn=belongs_to_parent,
    )
    interruption.child = process
    try:
        process.wait()
    except KeyboardInterrupt:  # the second one
        process.kill()
        process.wait()
        raise
    if process.returncode == STOPPED or (interruption.received is not None and process.returncode < 0):
        raise Stopped  # if it has ended by the signal itself, it had not begun to train
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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Inside the block no other process can train the run in ``folder``. A folder that is empty at the end, because the
    options were refused, is removed.

    Raises:
        BusyError: another process trains the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0):
            try:
                yield
            finally:
                if [path.name for path in folder.iterdir()] == [LOCK]:
                    (folder / LOCK).unlink()
                    folder.rmdir()
    except Timeout:
        raise BusyError(f"{folder} is being trained by another process") from None


@contextmanager
def resumed_or_unchanged(config: DictConfig, folder: Path) -> Iterator[None]:
    """If a run is resumed in the block, and fails before it has saved a checkpoint, its options, and how it ended, are
    as before."""
    files = {path: path.read_bytes() for name in (CONFIG, RESULT, FAILURE) if (path := folder / name).is_file()}
    before = saved_checkpoints(folder)
    try:
        yield
    except Exception:
        if config.resume is not None and saved_checkpoints(folder) == before:
            (folder / FAILURE).unlink(missing_ok=True)
            for path, content in files.items():
                path.write_bytes(content)
        raise


def saved_checkpoints(folder: Path) -> dict[str, int]:
    """When each checkpoint in ``folder`` was saved, in nanoseconds."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / CHECKPOINTS).glob("*.ckpt")}
