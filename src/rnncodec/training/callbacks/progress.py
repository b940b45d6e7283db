"""The progress bar on the terminal."""

import math
import time
from datetime import timedelta
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar


class StepProgressBar(RichProgressBar):
    """Lightning's progress bar, which counts epochs, with steps instead: training has no ``max_epochs``. Beside it are
    the time to the end of training, at the mean speed so far, validations included, and the loss. The loss
    is read when it is logged, and not in each step, because reading it waits for the GPU. For the same reason
    nothing is logged with ``prog_bar=True``, which reads it in each step."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.started, self.first_step = time.monotonic(), trainer.global_step

    def time_left(self, trainer: L.Trainer) -> str:
        """The time to the last step, as H:MM:SS."""
        done = trainer.global_step - self.first_step
        seconds = (time.monotonic() - self.started) / max(1, done) * (trainer.max_steps - trainer.global_step)
        return str(timedelta(seconds=round(seconds))) if done else "unknown"

    @property
    def total_train_batches(self) -> int | float:
        """The batches from the last validation to the next, or to the end. Lightning's own count of them lacks those
        that were trained before the run was stopped and resumed."""
        between = self.trainer.num_training_batches
        left = (self.trainer.max_steps - self.trainer.global_step) * self.trainer.accumulate_grad_batches
        return min(between, self.done + left)

    @property
    def done(self) -> int | float:
        """The batches since the last validation."""
        return self.trainer.fit_loop.epoch_loop.batch_progress.current.ready % self.trainer.num_training_batches

    def _get_train_description(self, current_epoch: int) -> str:
        steps = math.ceil((self.total_train_batches - self.done) / self.trainer.accumulate_grad_batches)
        return f"Steps to {self.trainer.global_step + steps} of {self.trainer.max_steps}"

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        if trainer.training:
            metrics["left"] = self.time_left(trainer)
        loss = trainer.callback_metrics.get("train/loss")
        return metrics if loss is None else metrics | {"train/loss": loss.item()}

    def _update_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.training or trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            super()._update_metrics(trainer, pl_module)
