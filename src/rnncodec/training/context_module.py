"""The LightningModule that trains a context model."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rnncodec.entropy.cross_entropy import bits_per_bit
from rnncodec.entropy.networks import Network
from rnncodec.training.clipping import ClipsParts
from rnncodec.training.learning_rate import scheduled, take_options
from rnncodec.training.module import by_iteration


class ContextModule(ClipsParts):
    """Trains ``model`` on codes ``[T, B, bits, h, w]``. With c_t, the cross-entropy of iteration t in bits per raw bit,
    the loss is

        L = 1/T Σ_t 1/t (c_1 + … + c_t)

    the coded size of a file relative to its raw size, averaged over files of 1 to T layers. So early iterations, which
    are in most files, count more than late ones.

    Logs ``train/loss`` and ``val/loss``; ``train/bits_t01`` … and ``val/bits_t01`` …, which are c_t; ``val/saved_t01``
    …, the share of the raw bits that the context model saves in a file of t layers.

    Args:
        iterations: of the codes.
        optimizer: a function from the parameters to the optimizer.
        warmup_steps, final_lr: see `warmup_cosine`.
    """

    def __init__(
        self,
        model: Network,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        *,
        iterations: int,
        warmup_steps: int,
        final_lr: float,
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.warmup_steps = warmup_steps
        self.final_lr = final_lr
        self.iterations = iterations

    def training_step(self, codes: Tensor, batch_idx: int) -> Tensor:
        bits = bits_per_bit(self.model, codes)
        loss = so_far(bits).mean()
        self.log("train/loss", loss)
        self.log_dict(by_iteration("train/bits", bits.detach()))
        return loss

    def clipped_parts(self) -> list[nn.Module]:
        return [self.model]

    def validation_step(self, codes: Tensor, batch_idx: int) -> None:
        with torch.autocast(self.device.type, enabled=False):  # the integer model is made from float32 weights
            bits = bits_per_bit(self.model, codes)
        mean = so_far(bits)
        values = {"val/loss": mean.mean()} | by_iteration("val/bits", bits) | by_iteration("val/saved", 1.0 - mean)
        # Lightning takes the mean of the batch sizes over all processes, and cuts it to a whole number.
        self.log_dict(values, batch_size=codes[0, :, 0].numel() * self.trainer.world_size, sync_dist=True)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        take_options(checkpoint, self.configure_optimizers())

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.model.parameters())
        return scheduled(optimizer, self.warmup_steps, self.trainer.max_steps, self.final_lr)


def so_far(bits: Tensor) -> Tensor:
    """``(c_1 + … + c_t) / t`` for each t, from c ``[T]``: the cost of a raw bit in a file of t layers."""
    return bits.cumsum(0) / torch.arange(1, len(bits) + 1, device=bits.device)
