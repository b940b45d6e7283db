"""The time that training takes."""

import time
from typing import Any

import lightning as L


class TrainingClock(L.Callback):
    """Measures the seconds of training, and logs them at each validation: ``train/seconds`` by the clock on the wall,
    and ``train/cpu_seconds``, which all threads of all processes have computed on CPU cores, without data workers.
    The latter stays the same when the machine has other work. Validations do not count, nor does the time between the
    end of a run and its resumption."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0  # of this process
        self.processes = 1
        self.since: tuple[float, float] | None = None  # both clocks at the last start; None while they stand

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.processes = trainer.world_size

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.since = clocks()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        (self.seconds, self.cpu_seconds), self.since = self.now(), None

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.log("train/seconds", self.seconds, sync_dist=True)
        pl_module.log("train/cpu_seconds", self.cpu_seconds, sync_dist=True, reduce_fx="sum")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.since = clocks()

    def state_dict(self) -> dict[str, Any]:
        seconds, cpu_seconds = self.now()
        return {"seconds": seconds, "cpu_seconds_of_all": cpu_seconds * self.processes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]
        if "cpu_seconds_of_all" in state_dict:  # by as many processes as the run had then
            self.cpu_seconds = state_dict["cpu_seconds_of_all"] / self.processes
        else:  # in checkpoints of older versions: of one process
            self.cpu_seconds = state_dict["cpu_seconds"]

    def now(self) -> tuple[float, float]:
        """The seconds of training so far, and the CPU seconds of this process."""
        if self.since is None:
            return self.seconds, self.cpu_seconds
        (wall, cpu), (wall_before, cpu_before) = clocks(), self.since
        return self.seconds + wall - wall_before, self.cpu_seconds + cpu - cpu_before


def clocks() -> tuple[float, float]:
    """The time now, and the CPU time of this process with all its threads, in seconds."""
    return time.monotonic(), time.process_time()


def training_seconds(trainer: L.Trainer) -> float:
    """The seconds that the TrainingClock of ``trainer`` shows; 0 if it has none."""
    found = (each for each in trainer.callbacks if isinstance(each, TrainingClock))  # type: ignore[attr-defined]
    return next((clock.now()[0] for clock in found), 0.0)
