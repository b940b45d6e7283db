"""The trained weights as a safetensors file."""

from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import WandbLogger

from rnncodec.entropy.networks import Network, codes_files, name_of, quantize
from rnncodec.errors import RnncodecError
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.precision import round_weights
from rnncodec.terminal import log
from rnncodec.training.callbacks.average import AverageWeights
from rnncodec.training.callbacks.clock import training_seconds
from rnncodec.training.context_module import ContextModule
from rnncodec.training.module import CodecModule
from rnncodec.training.run.saved_config import load_config, resolved
from rnncodec.weights.released import RUN_WEIGHTS
from rnncodec.weights.weights_file import half_holds, save_model


class ExportWeights(L.Callback):
    """Writes ``weights.safetensors`` into ``folder`` whenever the newest checkpoint is saved, so that a run that is cut
    off leaves its weights, and when training ends. Then it logs them as a W&B artifact.

    The weights are the averaged ones if the averaging callback is in use. The metadata holds the config of the network
    and how it was trained: the options of the run, steps, processes, seconds of training (by the TrainingClock) and
    versions.

    Args:
        half: store float16, which halves the file, of weights rounded to the precision of bfloat16, in which networks
            compute on many processors.
        at_checkpoints: also write the file whenever the newest checkpoint is saved.
    """

    # Options that do not say how the weights came about, or that are stored elsewhere in the file.
    LEFT_OUT: tuple[str, ...] = (
        "model", "reconstruction", "name", "group", "tags", "run_id", "folder", "outputs", "resume", "resources",
        "trial", "optimized_metric", "callbacks", "logger", "evaluate_at_end",
    )  # fmt: skip

    def __init__(self, folder: str, half: bool = False, at_checkpoints: bool = True) -> None:
        self.folder = Path(folder)
        self.half = half
        self.at_checkpoints = at_checkpoints

    def after_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Export the weights of a checkpoint that is saved. Training goes on where that fails: weights of the first
        steps may be such that a context model of integers cannot hold them."""
        if not (self.at_checkpoints and trainer.is_global_zero):
            return
        averages = (each for each in trainer.callbacks if isinstance(each, AverageWeights))  # type: ignore[attr-defined]
        average = next(averages, None)
        try:
            self._export(trainer, pl_module if average is None else average.averaged())
        except RnncodecError as error:
            log.print(f"after step {trainer.global_step} no weights were exported: {error}", soft_wrap=True)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        path = self._export(trainer, pl_module)
        network = self._context(pl_module)
        if network is not None and not codes_files(network):
            kind = name_of(network) or type(network).__name__
            log.print(f"{path} is without the context model: {kind} codes no files", soft_wrap=True)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                import wandb

                artifact = wandb.Artifact(f"weights-{logger.experiment.id}", type="model")
                artifact.add_file(str(path))
                logger.experiment.log_artifact(artifact)

    def _export(self, trainer: L.Trainer, pl_module: L.LightningModule) -> Path:
        training = {
            "options": self._options,
            "iterations": pl_module.iterations,
            "steps": trainer.global_step,
            "world_size": trainer.world_size,
            "seconds": round(training_seconds(trainer)),
            "versions": {"rnncodec": version("rnncodec"), "torch": torch.__version__, "lightning": L.__version__},
        }
        path = self.folder / RUN_WEIGHTS
        self._save(trainer, pl_module, path, training)
        return path

    def _context(self, pl_module: L.LightningModule) -> Network | None:
        """The context model that is trained with the codec, that of the rate term, or None."""
        assert isinstance(pl_module, CodecModule)
        return pl_module.context

    def _save(self, trainer: L.Trainer, pl_module: L.LightningModule, path: Path, training: dict[str, Any]) -> None:
        assert isinstance(pl_module, CodecModule)
        codec = IterativeCodec(pl_module.codec.config)
        codec.load_state_dict(pl_module.codec.state_dict())
        if self.half:
            round_weights(codec)
        if pl_module.context is not None:
            codec.context = quantize(pl_module.context)
        save_model(codec, path, training, self.half)

    @cached_property  # they stay as they are while the process runs
    def _options(self) -> dict[str, Any]:
        """The options of the run, without paths of this machine."""
        options = resolved(load_config(self.folder))
        options = {name: value for name, value in options.items() if name not in self.LEFT_OUT}
        options["data"] = {
            name: value
            for name, value in options["data"].items()
            if name not in ("train", "val", "folder") and not (isinstance(value, str) and Path(value).is_absolute())
        }
        for name in ("weights", "codec"):
            if options.get(name):
                options[name] = Path(options[name]).name
        return options


class ExportContext(ExportWeights):
    """Does the same for a context model. The file holds the codec's weights, unchanged, and the context model in the
    form that codes files, if it has one. How the context model was trained is in the metadata under ``context``."""

    def _context(self, pl_module: L.LightningModule) -> Network:
        assert isinstance(pl_module, ContextModule)
        return pl_module.model

    def _save(self, trainer: L.Trainer, pl_module: L.LightningModule, path: Path, training: dict[str, Any]) -> None:
        assert isinstance(pl_module, ContextModule)
        codec = trainer.datamodule.codec.cpu()  # type: ignore[attr-defined]
        codec.context = quantize(pl_module.model)
        save_model(codec, path, codec.training_info | {"context": training}, half_holds(codec))
