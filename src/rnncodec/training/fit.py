"""One process of a training run:  python -m rnncodec.training.fit FOLDER [CHECKPOINT]"""

import logging
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig, OmegaConf

from rnncodec.data.codes import CodesDataModule
from rnncodec.data.datamodule import PatchDataModule
from rnncodec.data.identity import dataset_identity
from rnncodec.errors import RnncodecError
from rnncodec.network.cost import cost
from rnncodec.terminal import log
from rnncodec.training.build import build, build_training
from rnncodec.training.loggers import RunLogger, build_loggers
from rnncodec.training.module import CodecModule
from rnncodec.training.process.device import share_cores
from rnncodec.training.process.hangup import survive_hangup
from rnncodec.training.process.interruption import end_with_parent, interruption
from rnncodec.training.process.ranks import local_world_size, rank, world_size
from rnncodec.training.run.outcome import write_failure, write_result
from rnncodec.training.run.saved_config import load_config


def fit(folder: Path, checkpoint: Path | None) -> None:
    """Train the run in ``folder`` in this process, from ``checkpoint``, or from the first step if it is None.

    Raises:
        SystemExit: with the code STOPPED, after a signal that asks to stop; a checkpoint is saved.
    """
    config = load_config(folder)
    accelerator, processes = config.trainer.accelerator, world_size()
    if accelerator == "cpu" and local_world_size() > 1:
        share_cores(local_world_size())
    if accelerator != "cpu":
        torch.set_float32_matmul_precision(config.get("matmul_precision", "highest"))
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # the table at the end shows it better
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own, of no use to a user
    warnings.filterwarnings("ignore", message=".*srun. command is available.*")  # nor is this: rnncodec starts ranks
    L.seed_everything(config.seed, workers=True, verbose=False)
    module, data = build_training(config)
    callbacks = [build(callback) for callback in config.callbacks.values()]
    loggers = build_loggers(config)
    options = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    if isinstance(module, CodecModule):
        options["cost"] = asdict(cost(module.codec.config))
    photos = data.photos if isinstance(data, CodesDataModule) else data
    if isinstance(photos, PatchDataModule):
        shards = {"train": photos.train_shards, "val": photos.val_shards}
        options["dataset"] = {part: dataset_identity(paths) for part, paths in shards.items()}
    for logger in loggers:
        logger.log_hyperparams(options)
    strategy: Any = "auto"
    if processes > 1:
        # With one iteration (two for a context model) some convolutions of the states get no gradient.
        fewest = min([config.iterations, *(config.get("curriculum") or ())])
        strategy = DDPStrategy(find_unused_parameters=fewest <= 2)
        if rank() == 0:
            log.print(shares(config, processes), soft_wrap=True)
    trainer = build(
        config.trainer,
        callbacks=callbacks,
        logger=loggers,
        strategy=strategy,
        devices=local_world_size(),
        num_nodes=processes // local_world_size(),
        # Stated, because Lightning would take a job of SLURM for one that srun has started with one task a device.
        plugins=[TorchElasticEnvironment() if processes > 1 else LightningEnvironment()],
    )
    # Lightning asks all ranks after each batch whether one has received SIGTERM, and waits for the GPU to answer;
    # the callback StopOnSignal asks less often, and without the GPU.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    if "val/loss" not in trainer.callback_metrics:  # the checkpoint was of the last step: nothing was left to train
        trainer.validate(module, datamodule=data, verbose=False)
    for each in trainer.loggers:
        each.finalize("success")
        if isinstance(each, WandbLogger):
            import wandb

            command = each.sync_command() if isinstance(each, RunLogger) and trainer.is_global_zero else None
            wandb.finish()
            if command:
                log.print(f"W&B:     {command}  uploads this run", soft_wrap=True, markup=False)
    if trainer.is_global_zero:
        pruned = any(getattr(callback, "pruned", False) for callback in callbacks)
        write_result(folder, trainer.global_step, figures(trainer), pruned)


def shares(config: DictConfig, processes: int) -> str:
    """What each of several processes does, and all together."""
    batch = config.data.batch_size * config.trainer.accumulate_grad_batches
    return (
        f"{processes} processes, {local_world_size()} on each machine: {batch} patches a step each, "
        f"{batch * processes} together, at the learning rate {config.optimizer.lr:g} of optimizer.lr"
    )


def figures(trainer: L.Trainer) -> dict[str, float]:
    """The last figures of validation, ``val/…``, and of the evaluation at the end, ``eval/…``."""
    kept = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        kept |= getattr(callback, "figures", {})
    return kept


def main() -> None:
    folder, *checkpoint = (Path(argument) for argument in sys.argv[1:])
    end_with_parent()
    survive_hangup(folder)
    try:
        with interruption.watched():
            fit(folder, checkpoint[0] if checkpoint else None)
    except RnncodecError as error:
        write_failure(folder, str(error))
        raise SystemExit(f"{error}") from None
    except Exception as error:
        write_failure(folder, f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main()
