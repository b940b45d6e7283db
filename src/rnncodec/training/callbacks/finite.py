"""The end of a training whose loss is not finite."""

from typing import Any

import lightning as L
import torch
from torch import Tensor

from rnncodec.errors import TrainingError


class StopIfNotFinite(L.Callback):
    """Ends the training when a loss is infinite or not a number, and names the step of the first one. No checkpoint is
    saved from then on, so that the newest one is of an earlier step, and none with weights that are not finite.

    The loss is read in steps that are logged, before each validation, and before a checkpoint is saved. In other steps
    the step of the first bad loss is kept on the device, because reading waits for a GPU.
    """

    def __init__(self) -> None:
        self.first: Tensor | None = None  # the number of the first step with such a loss; -1 if there is none

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"]
        first = torch.full_like(loss, -1, dtype=torch.int64) if self.first is None else self.first
        self.first = torch.where((first < 0) & ~loss.isfinite(), trainer.global_step, first)
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self.check()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.check()

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.check()
        if not torch.stack([parameter.isfinite().all() for parameter in pl_module.parameters()]).all():
            raise TrainingError(f"the weights are not finite after step {trainer.global_step}; {ADVICE}")

    def check(self) -> None:
        """Raises TrainingError if a loss so far was not finite."""
        if self.first is not None and (step := int(self.first)) >= 0:
            raise TrainingError(f"the loss is not finite at step {step}; {ADVICE}")


ADVICE = "the newest checkpoint is of an earlier step; try a smaller optimizer.lr or trainer.gradient_clip_val"
