"""A weight of the rate for each layer that follows the curve of distortion against rate while it is trained."""

import torch
from torch import Tensor, nn

from rnncodec.errors import ConfigurationError
from rnncodec.network.mean_over_ranks import mean_over_ranks

LIMIT = 8.0  # how many times as large or as small as at the start a weight may become


class RateSlope(nn.Module):
    """The weights ``w_t`` of the rates of layers 1 to T: the slope of the curve from layer t to the next, at layer t,

        w_t = (D_t - D_{t+1}) / (R_t · log(R_{t+1} / R_t))

    where D_t is the distortion after t layers, and R_t the rate of layers 1 to t. Between the two points the curve is
    taken to be straight over log R, as it nearly is for distortions in decibels. All differences are running means over
    the steps and all ranks. Where the last bits of a layer buy less distortion than the first bits of the next one,
    pictures are better at the same rate if the next layer spends them. With the loss D_t + w_t · R_t it does.

    Before the first step the means are such that ``w`` is ``start``. It stays within LIMIT times ``start`` and a
    LIMIT-th of it, and hardly moves where no step has trained a layer so far. The last layer has no next one; its ratio
    to ``start`` is that of the layer before. The means are in the checkpoints of a run.

    Args:
        start: ``[T]``.
        momentum: the share of a step in the means; 0.005 averages about 200 steps.

    Raises:
        ConfigurationError: there is only one layer.
    """

    start: Tensor
    gained: Tensor
    spent: Tensor

    def __init__(self, start: Tensor, momentum: float) -> None:
        super().__init__()
        if len(start) < 2:
            raise ConfigurationError("rate_slope follows the slopes between iterations, and needs at least 2 of them")
        self.momentum = momentum
        spent = torch.ones_like(start)
        self.register_buffer("start", start.clone(), persistent=False)
        self.register_buffer("spent", spent)  # R_t - R_{t-1}
        self.register_buffer("gained", start[:-1] * scaled_steps(spent))  # D_t - D_{t+1}

    def weights(self) -> Tensor:
        """``w_t``, ``[T]``."""
        ratio = (self.gained / scaled_steps(self.spent) / self.start[:-1]).clamp(1.0 / LIMIT, LIMIT)
        return self.start * torch.cat([ratio, ratio[-1:]])

    @torch.no_grad()
    def update(self, distortions: Tensor, rates: Tensor) -> None:
        """Move the means towards the distortions of a step after its first n layers, ``[n]``, and the rates of each of
        these layers alone, ``[n]``."""
        values = mean_over_ranks(torch.cat([distortions, rates]).float())
        distortions, rates = values.chunk(2)
        self.gained[: len(rates) - 1].lerp_(-distortions.diff(), self.momentum)
        self.spent[: len(rates)].lerp_(rates, self.momentum)


def scaled_steps(spent: Tensor) -> Tensor:
    """``R_t · log(R_{t+1} / R_t)``, ``[T - 1]``, of the rates of each layer alone, ``[T]``."""
    rates = spent.cumsum(0)[:-1]
    return rates * (spent[1:] / rates).log1p()
