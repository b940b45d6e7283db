"""The time that training takes."""

import time
from typing import Any

import lightning as L


class TrainingClock(L.Callback):
    """Measures the seconds of training, and logs them as ``train/seconds`` at each validation. Validations do not
    count, nor does the time between the end of a run and its resumption."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.since: float | None = None  # None while the clock stands still

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.since = time.monotonic()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds, self.since = self.now(), None

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.log("train/seconds", self.seconds, sync_dist=True)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.since = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.now()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]

    def now(self) -> float:
        """The seconds of training so far."""
        return self.seconds + (0.0 if self.since is None else time.monotonic() - self.since)


def training_seconds(trainer: L.Trainer) -> float:
    """The seconds that the TrainingClock of ``trainer`` shows; 0 if it has none."""
    clocks = (each for each in trainer.callbacks if isinstance(each, TrainingClock))  # type: ignore[attr-defined]
    return next((clock.now() for clock in clocks), 0.0)
