"""The progress bar on the terminal."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar


class StepProgressBar(RichProgressBar):
    """Lightning's progress bar, which counts epochs, with steps instead: training has no ``max_epochs``."""

    def _get_train_description(self, current_epoch: int) -> str:
        return f"Steps to {self.trainer.global_step + self.total_train_batches} of {self.trainer.max_steps}"

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics
