"""One process of a training run:  python -m rnncodec.training.fit FOLDER"""

import logging
import signal
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.loggers import Logger, WandbLogger
from omegaconf import DictConfig

from rnncodec.data.codes import CodesDataModule
from rnncodec.data.datamodule import PatchDataModule
from rnncodec.data.identity import dataset_identity
from rnncodec.errors import RnncodecError, from_system
from rnncodec.network.cost import cost
from rnncodec.terminal import log
from rnncodec.training.build import build_callbacks, build_trainer, build_training
from rnncodec.training.loggers import RunLogger, build_loggers
from rnncodec.training.module import CodecModule
from rnncodec.training.process.device import threads_each
from rnncodec.training.process.hangup import outlive_terminal
from rnncodec.training.process.interruption import Stopped, end_with_parent, interruption
from rnncodec.training.process.ranks import is_first
from rnncodec.training.run.checkpoints import newest, remove_parts
from rnncodec.training.run.folder import CHECKPOINTS
from rnncodec.training.run.outcome import write_failure, write_result
from rnncodec.training.run.saved_config import load_config, resolved


def fit(folder: Path) -> None:
    """Train the run in ``folder`` in this process, from its newest checkpoint, or from the first step if it has none.
    With several devices, Lightning starts a process for each of the others.

    Raises:
        RnncodecError: an option cannot work, every checkpoint is damaged, or the loss is not finite.
        Stopped: a signal has asked to stop; a checkpoint is saved.
    """
    config = load_config(folder)
    set_up_process(config)
    module, data = build_training(config)
    callbacks = build_callbacks(config)
    loggers = build_loggers(config)
    log_options(config, module, data, loggers)
    trainer = build_trainer(config, callbacks, loggers)
    remove_parts(folder / CHECKPOINTS)
    checkpoint = newest(folder / CHECKPOINTS, quiet=not is_first())
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    if "val/loss" not in trainer.callback_metrics:  # the checkpoint was of the last step
        say_nothing_left(config, trainer.global_step)
        trainer.validate(module, datamodule=data, verbose=False)
    finish(trainer.loggers)
    if trainer.is_global_zero:
        pruned = any(getattr(callback, "pruned", False) for callback in callbacks)
        write_result(folder, trainer.global_step, figures(trainer), pruned)


def say_nothing_left(config: DictConfig, steps: int) -> None:
    """Say that the run in this folder has ended after ``steps`` steps, and which option lets it go on."""
    if is_first():
        option = "max_steps" if steps >= config.trainer.max_steps else "max_time"
        log.print(
            f"nothing is left to train: the run has ended after step {steps}, by trainer.{option}="
            f"{config.trainer[option]}; it goes on if resume={config.folder} comes with a larger one",
            soft_wrap=True,
            markup=False,
        )


def set_up_process(config: DictConfig) -> None:
    """Threads, precision, seeds, and what is not to be printed."""
    if config.trainer.accelerator != "cpu":
        torch.set_float32_matmul_precision(config.get("matmul_precision", "highest"))
    elif config.trainer.devices > 1:
        torch.set_num_threads(threads_each(config.trainer.devices))
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # the table at the end shows it better
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own, of no use to a user
    warnings.filterwarnings("ignore", message=".*srun. command is available.*")  # nor is this: rnncodec starts ranks
    warnings.filterwarnings("ignore", message="(?s)Dynamo detected a call to a `functools.lru_cache`")  # of constants
    warnings.filterwarnings("ignore", message="(?s)Grad strides do not match")  # of 1×1 kernels: the order is the same
    warnings.filterwarnings("ignore", message="To copy construct from a tensor", module="torch")  # torch.compile's own
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # of a resumed run
    L.seed_everything(config.seed, workers=True, verbose=False)


def log_options(
    config: DictConfig, module: L.LightningModule, data: L.LightningDataModule, loggers: list[Logger]
) -> None:
    """Log the options of the run, what its network costs, and which photos it sees."""
    options = resolved(config)
    if isinstance(module, CodecModule):
        options["cost"] = asdict(cost(module.codec.config))
    photos = data.photos if isinstance(data, CodesDataModule) else data
    if isinstance(photos, PatchDataModule):
        shards = {"train": photos.train_shards, "val": photos.val_shards}
        options["dataset"] = {part: dataset_identity(paths) for part, paths in shards.items()}
    for logger in loggers:
        logger.log_hyperparams(options)


def finish(loggers: list[Logger]) -> None:
    """Let ``loggers`` write what they still hold."""
    for logger in loggers:
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            import wandb

            command = logger.sync_command() if isinstance(logger, RunLogger) and is_first() else None
            wandb.finish()
            if command:
                log.print(f"W&B:     {command}  uploads this run", soft_wrap=True, markup=False)


def figures(trainer: L.Trainer) -> dict[str, float]:
    """The last figures of validation, ``val/…``, and of the evaluation at the end, ``eval/…``."""
    kept = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        kept |= getattr(callback, "figures", {})
    return kept


def main() -> None:
    folder = Path(sys.argv[1])
    end_with_parent()
    outlive_terminal(folder)
    try:
        with interruption.watched([signal.SIGTERM]):  # others are for the process that has started this one
            fit(folder)
    except Stopped:
        if not is_first():
            raise SystemExit(0) from None  # another code would be a failure to the first process
        raise
    except (RnncodecError, OSError) as raised:  # an OSError is a full disk, or a file that may not be read
        error = from_system(raised) if isinstance(raised, OSError) else raised
        write_failure(folder, str(error))
        raise SystemExit(f"{error}") from None
    except Exception as error:
        if interruption.received is not None:  # another process of the run has stopped before this one
            raise Stopped from None
        write_failure(folder, f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main()
