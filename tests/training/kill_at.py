"""A callback that ends its process as a power cut would."""

import os
import signal

import lightning as L


class KillAt(L.Callback):
    """SIGKILL before the step that the environment variable KILL_AT_STEP names, or after the last step: with
    KILL_AT_END=validation before its validation, with KILL_AT_END=export before the weights are exported. Nothing
    without these variables."""

    def on_train_batch_start(self, trainer: L.Trainer, *_: object) -> None:
        kill(str(trainer.global_step) == os.environ.get("KILL_AT_STEP"))

    def on_validation_start(self, trainer: L.Trainer, *_: object) -> None:
        kill(trainer.global_step == trainer.max_steps and os.environ.get("KILL_AT_END") == "validation")

    def on_train_end(self, *_: object) -> None:
        kill(os.environ.get("KILL_AT_END") == "export")


def kill(now: bool) -> None:
    if now:
        os.kill(os.getpid(), signal.SIGKILL)
