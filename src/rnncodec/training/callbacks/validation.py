"""Validation at the end of every epoch, and once before."""

import time
from typing import Any

import lightning as L

from rnncodec.training.process.agreement import Agreement


class ValidateEveryEpoch(L.Callback):
    """Validates at the end of each epoch, also of the last one, which may be shorter, and after the last step.
    Lightning assumes that all epochs are as long as the first, and never validates at the end of a shorter one.

    The first validation comes after ``first_after_minutes`` minutes of training, if the first epoch takes longer. One
    that a signal has broken off is made up for after the next step.
    """

    def __init__(self, first_after_minutes: float) -> None:
        self.first_after_minutes = first_after_minutes
        self.validated = False
        self.due = False  # from the end of the step before a validation to the validation's end
        self.started = 0.0  # seconds of the monotonic clock
        self.batches = 0  # of this epoch
        self.agreement = Agreement()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.agreement.connect(trainer)
        self.started = time.monotonic()
        self.batches = len(trainer.train_dataloader)  # type: ignore[arg-type]  # a run that is resumed starts no epoch

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.batches = len(trainer.train_dataloader)  # type: ignore[arg-type]

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        trainer.val_check_batch = self.batches
        # Lightning counts the steps that loggers write after a validation. A checkpoint that was saved in a validation
        # has one too few, and all values of a run that is resumed from it would be logged one step too early.
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return  # the step is not done
        late = False
        if not self.validated:
            (late,) = self.agreement.on(time.monotonic() - self.started > 60 * self.first_after_minutes)
        # A data module of another package may have more batches than the last step needs.
        if self.due or late or trainer.global_step >= trainer.max_steps:
            trainer.val_check_batch = batch_idx + 1
        self.due = batch_idx + 1 == trainer.val_check_batch

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.agreement.settle()
        self.validated, self.due = True, False

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.agreement.settle()

    def state_dict(self) -> dict[str, Any]:
        return {"validated": self.validated, "due": self.due}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.validated = state_dict["validated"]
        self.due = state_dict.get("due", False)  # older versions did not say
