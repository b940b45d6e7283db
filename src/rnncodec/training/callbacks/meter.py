"""What training has used so far."""

import resource
import sys
from typing import Any

import lightning as L
import torch
from torch.optim import Optimizer

from rnncodec.training.callbacks.clock import training_seconds
from rnncodec.training.context_module import ContextModule


class TrainingMeter(L.Callback):
    """Logs, each time something is logged in training: ``train/patches``, all patches that all processes have seen so
    far; ``train/seconds``, of the TrainingClock, and ``train/patches_per_second`` since the last time;
    ``train/gradient_norm``, of the whole gradient before it is clipped; ``train/peak_memory_gb``, the most memory that
    this process has used: of its GPU, or of the machine."""

    def __init__(self) -> None:
        self.patches = 0
        self.before = (0, 0.0)  # patches and seconds when it logged last
        self.gradient_norm: torch.Tensor | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.before = self.patches, training_seconds(trainer)

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        if trainer._logger_connector.should_update_logs:
            gradients = [each.grad for each in pl_module.parameters() if each.grad is not None]
            self.gradient_norm = torch.nn.utils.get_total_norm(gradients)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.patches += batch.shape[1 if isinstance(pl_module, ContextModule) else 0] * trainer.world_size
        accumulated = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not (accumulated and trainer._logger_connector.should_update_logs):
            return  # reading the clock and the memory in each step is not free
        seconds = training_seconds(trainer)
        patches, earlier = self.before
        values: dict[str, Any] = {
            "train/patches": float(self.patches),
            "train/seconds": seconds,
            "train/patches_per_second": (self.patches - patches) / max(seconds - earlier, 1e-9),
            "train/peak_memory_gb": peak_memory(pl_module.device) / 2**30,
        }
        if self.gradient_norm is not None:
            values["train/gradient_norm"] = self.gradient_norm
        self.before = self.patches, seconds
        pl_module.log_dict(values)

    def state_dict(self) -> dict[str, Any]:
        return {"patches": self.patches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.patches = state_dict["patches"]


def peak_memory(device: torch.device) -> int:
    """The most bytes that this process has used: of the GPU ``device``, or of main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
