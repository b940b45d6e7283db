"""Averaged weights."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class AverageWeights(WeightAveraging):
    """Keeps ``decay · average + (1 - decay) · weights`` after each step, as Lightning's EMAWeightAveraging does, which
    says how the average is validated, saved and exported. There each parameter is a kernel of its own, and each step
    waits for the GPU. Here all parameters are one kernel, and nothing waits.

    Buffers are not averaged: they are those of the last step.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=False)
        self.decay = decay

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage == "fit":
            self._average_model = MovingAverage(pl_module, self.decay)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The averaged weights replace the others, also in a run that goes on from a checkpoint of its last step, where
        Lightning calls ``on_train_end`` of no callback."""
        assert self._average_model is not None
        self._copy_average_to_current(pl_module)


class MovingAverage(AveragedModel):
    """The exponential moving average of the parameters of ``model``, which starts as a copy of it."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=False)
        self.moved = get_ema_multi_avg_fn(decay)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> Any:
        """AveragedModel reads ``n_averaged`` here, which waits for the GPU."""
        self.moved(list(self.module.parameters()), list(model.parameters()), 0)
        for average, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            average.copy_(buffer)
        self.n_averaged += 1
