"""Averaged weights."""

from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class AverageWeights(WeightAveraging):
    """Keeps an exponential moving average of the weights, see `MovingAverage`. The base class says how the average is
    validated, saved and exported. Lightning's own EMAWeightAveraging has no warm-up, takes a kernel for each parameter,
    and waits for the GPU in each step.

    Buffers are not averaged: they are those of the last step.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=False)
        self.decay = decay

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage == "fit":
            self._average_model = MovingAverage(pl_module, self.decay)

    def averaged(self) -> L.LightningModule:
        """The module with the averaged weights, while it trains."""
        assert self._average_model is not None
        return cast(L.LightningModule, self._average_model.module)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The averaged weights replace the others, also in a run that goes on from a checkpoint of its last step, where
        Lightning calls ``on_train_end`` of no callback."""
        assert self._average_model is not None
        self._copy_average_to_current(pl_module)


class MovingAverage(AveragedModel):
    """The exponential moving average of the parameters of ``model``. Update t, counted from 0, sets

        average = d_t · average + (1 - d_t) · parameters,    d_t = min(decay, (1 + t) / (10 + t))

    The decay rises to its full value, so that the random weights of the start are soon forgotten: with a decay of 0.999
    from the first step they would still be 61 % of the average after 500 steps (as in TensorFlow's
    ExponentialMovingAverage with ``num_updates``).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=False)
        self.decay = decay
        self.updates: int | None = None  # what n_averaged says, which a checkpoint keeps

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> Any:
        """AveragedModel reads ``n_averaged`` in each update, which waits for the GPU. Here only the first one does."""
        if self.updates is None:
            self.updates = int(self.n_averaged)
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        get_ema_multi_avg_fn(decay)(list(self.module.parameters()), list(model.parameters()), self.updates)
        for average, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            average.copy_(buffer)
        self.updates += 1
        self.n_averaged += 1
