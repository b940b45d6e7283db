"""Pictures of a validation photo's iterations, in the run's folder and in the logger."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import WandbLogger

from rnncodec.training.callbacks.strip import strip
from rnncodec.training.module import CodecModule


class ImageStrips(L.Callback):
    """At each validation, writes the strip of the first validation photo to ``folder/strip.png`` and to W&B."""

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / "strip.png"

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        if batch_idx or not trainer.is_global_zero or trainer.sanity_checking:
            return
        assert isinstance(pl_module, CodecModule)
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            _, reconstructions = pl_module.codec(batch[:1], pl_module.iterations)
            picture = strip(batch[0], reconstructions[:, 0])
        picture.save(self.path)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                step = trainer.fit_loop.epoch_loop._batches_that_stepped  # that of the figures of this validation
                logger.log_image("val/strip", [picture], step=step)
