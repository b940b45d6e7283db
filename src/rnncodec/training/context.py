"""The LightningModule of a context model: bits spent for each bit of the codes."""

from collections.abc import Callable, Iterable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rnncodec.entropy.contexts import Network
from rnncodec.training.cross_entropy import bits_per_bit
from rnncodec.training.learning_rate import scheduled
from rnncodec.training.module import by_iteration


class ContextModule(L.LightningModule):
    """Trains ``model`` on codes ``[T, B, bits, h, w]``, by its cross-entropy in bits.

    The loss is what a bit costs in a file, on average over the layers where it may be cut: early iterations are in most
    files, late ones in few.

    Logs ``train/loss`` and ``val/loss``; ``train/bits_t01`` … and ``val/bits_t01`` …, the bits that a bit of each
    iteration costs; ``val/saved_t01`` …, the share of the raw bits saved over the iterations up to that one.

    Args:
        optimizer: given the parameters, makes the optimizer.
        warmup_steps, final_lr: see `warmup_cosine`.
    """

    def __init__(
        self,
        model: Network,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        *,
        warmup_steps: int,
        final_lr: float,
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.warmup_steps = warmup_steps
        self.final_lr = final_lr
        self.iterations = model.config.iterations

    def training_step(self, codes: Tensor, batch_idx: int) -> Tensor:
        bits = bits_per_bit(self.model, codes)
        loss = so_far(bits).mean()
        self.log("train/loss", loss, prog_bar=True)
        self.log_dict(by_iteration("train/bits", bits.detach()))
        return loss

    def validation_step(self, codes: Tensor, batch_idx: int) -> None:
        with torch.autocast(self.device.type, enabled=False):  # as its integers come from float32 weights
            bits = bits_per_bit(self.model, codes)
        mean = so_far(bits)
        values = {"val/loss": mean.mean()} | by_iteration("val/bits", bits) | by_iteration("val/saved", 1.0 - mean)
        self.log_dict(values, batch_size=codes[0, :, 0].numel(), sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.model.parameters())
        return scheduled(optimizer, self.warmup_steps, self.trainer.max_steps, self.final_lr)


def so_far(bits: Tensor) -> Tensor:
    """The means of ``bits`` ``[T]`` over the iterations up to each: what a bit costs in a file that ends there."""
    return bits.cumsum(0) / torch.arange(1, len(bits) + 1, device=bits.device)
