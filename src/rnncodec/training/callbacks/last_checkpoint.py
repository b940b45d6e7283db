"""The newest checkpoint of a run, from which it goes on."""

import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from rnncodec.training.callbacks.export import ExportWeights
from rnncodec.training.process.agreement import Agreement
from rnncodec.training.process.interruption import Stopped, interruption


class LastCheckpoint(Checkpoint):
    """Saves ``folder/last.ckpt`` every ``every_n_steps`` steps, every ``every_n_minutes`` minutes (None for never),
    before and after each validation, after the last step, and when a signal asks the run to stop, which ends the
    process then (:mod:`rnncodec.training.process.interruption`). Except after a validation, the weights are exported
    too, if the callback ExportWeights is in use. It must be the last callback;
    Lightning moves those of the class Checkpoint to the end.
    """

    def __init__(self, folder: str, every_n_steps: int | None, every_n_minutes: float | None) -> None:
        self.path = Path(folder) / "last.ckpt"
        self.every_n_steps = every_n_steps
        self.every_n_minutes = every_n_minutes
        self.agreement = Agreement()
        self.saved_at = 0.0  # seconds of the monotonic clock
        self.step = -1  # of the newest checkpoint that this process has saved

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Lightning asks all ranks after each batch whether one has received SIGTERM, and waits for the GPU to answer.
        # This callback asks in its place, and does not wait. Nothing public turns Lightning's question off.
        if hasattr(trainer.fit_loop.epoch_loop, "_broadcast_sigterm_tensor"):
            trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        self.agreement.connect(trainer)
        self.saved_at = time.monotonic()
        interruption.start_training()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return  # the step is not done
        late = self.every_n_minutes is not None and time.monotonic() - self.saved_at > 60 * self.every_n_minutes
        stop, late = self.agreement.on(interruption.received is not None, late)
        step = trainer.global_step
        regular = self.every_n_steps is not None and step % self.every_n_steps == 0
        if stop or late or regular or batch_idx + 1 == trainer.val_check_batch or step == trainer.max_steps:
            self.save(trainer, pl_module)
        if stop:
            raise Stopped

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if interruption.training and trainer.global_step != self.step:  # the time of trainer.max_time is over
            self.save(trainer, pl_module)
        interruption.pause_training()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit":
            trainer.save_checkpoint(self.path)  # the other callbacks know of the validation now
            interruption.start_training()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.agreement.settle()
        interruption.pause_training()

    def save(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.save_checkpoint(self.path)
        self.saved_at, self.step = time.monotonic(), trainer.global_step
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, ExportWeights):
                callback.after_checkpoint(trainer, pl_module)
