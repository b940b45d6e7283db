"""The time that training takes, among the logged values."""

import time
from typing import Any

import lightning as L


class TrainingClock(L.Callback):
    """Logs ``train/seconds`` at each validation: what training has taken so far, by the clock on the wall. It stands
    still in validations and between a run's end and its resumption."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.since: float | None = None  # None: it stands still

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.since = time.monotonic()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds, self.since = self._now(), None

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.log("train/seconds", self.seconds, sync_dist=True)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.since = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self._now()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]

    def _now(self) -> float:
        return self.seconds + (0.0 if self.since is None else time.monotonic() - self.since)
