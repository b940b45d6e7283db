"""Callbacks that watch or disturb a training."""

import os
from typing import Any, ClassVar

import lightning as L
import torch


class Seen(L.Callback):
    """What training does in each step, of all runs since `Seen.clear`."""

    steps: ClassVar[list[dict[str, Any]]] = []

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        (optimizer,) = trainer.optimizers
        names = [type(callback).__name__ for callback in trainer.callbacks]  # type: ignore[attr-defined]
        callbacks = dict(zip(names, trainer.callbacks, strict=True))  # type: ignore[attr-defined]
        self.steps.append(
            {
                "step": trainer.global_step,
                "lr": optimizer.param_groups[0]["lr"],
                "betas": tuple(optimizer.param_groups[0]["betas"]),
                "clip": trainer.gradient_clip_val,
                "decay": callbacks["AverageWeights"]._average_model.decay,
                "every": callbacks["LastCheckpoint"].every_n_steps,
                "saved": max(0, callbacks["LastCheckpoint"].step),
            }
        )


class SignalAt(L.Callback):
    """Sends a signal to this process: in the third step, or when a validation begins."""

    def __init__(self, number: int, place: str) -> None:
        self.number, self.place = number, place

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if self.place == "step" and trainer.global_step == 2:
            os.kill(os.getpid(), self.number)

    def on_validation_batch_start(self, *_: Any) -> None:
        if self.place == "validation":
            os.kill(os.getpid(), self.number)


class BreakWeights(L.Callback):
    """Makes the weights infinite after the seventh step."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if trainer.global_step == 7:
            with torch.no_grad():
                next(pl_module.parameters()).fill_(torch.nan)
