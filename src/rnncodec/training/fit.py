"""One process of a training run:  python -m rnncodec.training.fit FOLDER [CHECKPOINT]"""

import logging
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import OmegaConf

from rnncodec.cost import cost
from rnncodec.training.build import build, build_training
from rnncodec.training.device import share_cores
from rnncodec.training.module import CodecModule
from rnncodec.training.saved_config import load_config


def fit(folder: Path, checkpoint: Path | None) -> None:
    """Train the run in ``folder`` in this process, from ``checkpoint``, or from the first step if it is None."""
    config = load_config(folder)
    devices, accelerator = config.trainer.devices, config.trainer.accelerator
    if accelerator == "cpu" and devices > 1:
        share_cores(devices)
    if accelerator != "cpu":
        torch.set_float32_matmul_precision(config.get("matmul_precision", "highest"))
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # the table at the end shows it better
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own, of no use to a user
    L.seed_everything(config.seed, workers=True, verbose=False)
    module, data = build_training(config)
    callbacks = [build(callback) for callback in config.callbacks.values()]
    logger = build(config.logger)
    options = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    if isinstance(module, CodecModule):
        options["cost"] = asdict(cost(module.codec.config))
    logger.log_hyperparams(options)
    strategy: Any = "auto"
    if devices > 1:
        # With one iteration (two for a context model) some convolutions of the states get no gradient.
        fewest = min([config.iterations, *(config.get("curriculum") or ())])
        strategy = DDPStrategy(find_unused_parameters=fewest <= 2)
    trainer = build(config.trainer, callbacks=callbacks, logger=logger, strategy=strategy)
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    for each in trainer.loggers:
        each.finalize("success")
        if isinstance(each, WandbLogger):
            import wandb

            wandb.finish()


if __name__ == "__main__":
    folder, *checkpoint = (Path(argument) for argument in sys.argv[1:])
    fit(folder, checkpoint[0] if checkpoint else None)
