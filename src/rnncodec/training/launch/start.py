"""The three ways that train.py starts a run: alone, as a job of a sweep, and as one of the processes of torchrun."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from rnncodec.errors import BusyError, ConfigurationError, RnncodecError
from rnncodec.terminal import log
from rnncodec.training.fit import fit
from rnncodec.training.launch.launch import launch, launch_apart
from rnncodec.training.launch.prepare import prepare, resume
from rnncodec.training.launch.slurm import requeue, restarted
from rnncodec.training.launch.sweep import check_same, holds_run
from rnncodec.training.process.device import resolve_accelerator
from rnncodec.training.process.hangup import survive_hangup
from rnncodec.training.process.interruption import STOPPED, interruption
from rnncodec.training.process.ranks import connect, disconnect, from_first, local_world_size, rank, world_size
from rnncodec.training.run.checkpoints import newest
from rnncodec.training.run.folder import CHECKPOINTS
from rnncodec.training.run.outcome import read_result, started_again, write_failure
from rnncodec.training.run.saved_config import load_config


def single(config: DictConfig, folder: Path, overrides: Sequence[str]) -> float | None:
    """Train the run that ``config`` describes in ``folder``, or go on with the run there.

    Raises:
        RnncodecError: an option cannot work, or the training failed.
    """
    begin(config, folder, overrides)
    launch(folder)
    return optimized(folder)


def optimized(folder: Path) -> float | None:
    """The figure of a finished run that its option ``optimized_metric`` names; None if it was not measured."""
    result = read_result(folder)
    return None if result is None else result["metrics"].get(load_config(folder).get("optimized_metric"))


def begin(config: DictConfig, folder: Path, overrides: Sequence[str]) -> None:
    """Make ``folder`` that of a new run, or of the old one that ``config.resume`` names. The folder of a job that was
    requeued holds its run already."""
    if config.resume is not None:
        resume(folder, overrides)
    elif restarted() and holds_run(folder):
        check_same(config, folder)
    else:
        prepare(config, folder)


def job(config: DictConfig, folder: Path) -> float | None:
    """Train a job of a sweep: it is left out if it is finished, and goes on if it was cut off. If it fails, its folder
    says why.

    Raises:
        RnncodecError: an option cannot work, or the training failed.
    """
    survive_hangup(folder)
    try:
        if holds_run(folder):
            check_same(config, folder)
        else:
            prepare(config, folder)
        if read_result(folder) is None:
            launch_apart(folder)
        else:
            log.print(f"{folder} is finished already", soft_wrap=True)
        return optimized(folder)
    except BusyError:
        raise
    except RnncodecError as error:
        write_failure(folder, str(error))
        raise
    except Exception as error:
        write_failure(folder, f"{type(error).__name__}: {error}")
        raise


def train_rank(config: DictConfig, folder: Path, overrides: Sequence[str]) -> float | None:
    """Train as one of the processes that torchrun or srun has started, on one machine or on several. The first of them
    makes the folder, and the others use the same.

    Raises:
        RnncodecError: an option cannot work.
    """
    gpu = resolve_accelerator(config.trainer.accelerator) in ("cuda", "gpu")
    config.trainer.devices, config.trainer.num_nodes = local_world_size(), world_size() // local_world_size()
    connect(gpu)
    error, checkpoint = "", None
    if rank() == 0:
        try:
            begin(config, folder, overrides)
            checkpoint = newest(folder / CHECKPOINTS)
            started_again(folder)
        except RnncodecError as raised:
            error = str(raised)
    first, checkpoint, error = from_first((folder, checkpoint, error))
    if folder != first:
        folder.rmdir()  # Hydra has made it, a second later
    if error:
        raise ConfigurationError(error)
    with interruption.watched():
        try:
            fit(first, checkpoint)
        except SystemExit as end:
            if end.code == STOPPED and rank() == 0:
                requeue(interruption)
            raise
    disconnect()
    return optimized(first)
