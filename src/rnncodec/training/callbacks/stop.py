"""A checkpoint when the run is asked to stop."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import distributed

from rnncodec.terminal import log
from rnncodec.training.process.interruption import STOPPED, interruption

EVERY = 10  # batches between two agreements of the processes of a run


class StopOnSignal(L.Callback):
    """After the batch in which a signal has arrived (`rnncodec.training.process.interruption`), saves a checkpoint
    as ``folder/last.ckpt`` and ends the process. It must be the last callback.

    All processes of a run must save together. They agree every EVERY batches, in main memory, so that none of them
    waits for its GPU.
    """

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / "last.ckpt"
        self.group: Any = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        interruption.again()  # Lightning has set its own
        if trainer.world_size > 1:
            self.group = distributed.new_group(backend="gloo")

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if not self.asked(trainer):
            return
        trainer.save_checkpoint(self.path)
        if trainer.is_global_zero:
            log.print(f"stopped by a signal after step {trainer.global_step}; a checkpoint is saved", soft_wrap=True)
        raise SystemExit(STOPPED)

    def asked(self, trainer: L.Trainer) -> bool:
        """Whether a process of this run has received a signal."""
        received = interruption.received is not None
        if self.group is None:
            return received
        if trainer.fit_loop.epoch_loop.total_batch_idx % EVERY:
            return False
        signals = torch.tensor([int(received)])
        distributed.all_reduce(signals, distributed.ReduceOp.MAX, group=self.group)
        return bool(signals.item())
