"""The trained weights as a safetensors file."""

import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.loggers import WandbLogger
from omegaconf import OmegaConf

from rnncodec.model_file import save_model
from rnncodec.training.module import CodecModule


class ExportWeights(L.Callback):
    """Writes ``weights.safetensors`` into ``folder`` when training ends, and logs it as a W&B artifact.

    Averaged weights, where the averaging callback is in use: it puts them in place before. The metadata holds the
    network's config and the training's provenance: the run's options, steps, processes, seconds and versions.
    """

    def __init__(self, folder: str, half: bool = False) -> None:
        self.folder = Path(folder)
        self.half = half
        self.seconds = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self._elapsed()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]  # what the run took before it was resumed

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - getattr(self, "_started", time.monotonic())

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, CodecModule)
        training = {
            "options": self._options(),
            "iterations": pl_module.iterations,
            "steps": trainer.global_step,
            "world_size": trainer.world_size,
            "seconds": round(self._elapsed()),
            "versions": {"rnncodec": version("rnncodec"), "torch": torch.__version__, "lightning": L.__version__},
        }
        path = self.folder / "weights.safetensors"
        save_model(pl_module.codec, path, training, self.half)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                import wandb

                artifact = wandb.Artifact(f"weights-{logger.experiment.id}", type="model")
                artifact.add_file(str(path))
                logger.experiment.log_artifact(artifact)

    def _options(self) -> dict[str, Any]:
        """The run's options, less those that only say where things lie."""
        config = OmegaConf.load(self.folder / "config.yaml")
        options = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
        kept = ("iterations", "warmup_steps", "final_lr", "seed", "weights", "loss", "optimizer", "trainer", "data")
        options = {name: options[name] for name in kept}
        for place in ("train", "val", "folder"):
            options["data"].pop(place, None)
        return options
