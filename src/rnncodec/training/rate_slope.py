"""A weight of the rate for each layer that follows the curve of distortion against rate while it is trained."""

import torch
from torch import Tensor, nn

from rnncodec.errors import ConfigurationError
from rnncodec.network.ranks import mean_over_ranks

LIMIT = 8.0  # how many times as large or as small as at the start a weight may become


class RateSlope(nn.Module):
    """The weights ``w_t`` of the rates of layers 1 to T: the slope of the curve from layer t to the next,

        w_t = (D_t - D_{t+1}) / (R_{t+1} - R_t)

    where D_t is the distortion after t layers, and R_t the rate of layers 1 to t. Both differences are running means
    over the steps and all ranks. Where the last bits of a layer buy less distortion than those of the next layer, the
    picture is better at the same rate if the layer leaves them to the next one; with the loss D_t + w_t · R_t it does.

    Before the first step the means are such that ``w`` is ``start``. It stays within LIMIT times ``start`` and a
    LIMIT-th of it, and layers that no step has trained so far keep it. The last layer has no next one: it has the ratio
    to ``start`` of the layer before. The means are in the checkpoints of a run.

    Args:
        start: ``[T]``.
        momentum: the share of a step in the means; 0.005 averages about 200 steps.

    Raises:
        ConfigurationError: there is only one layer.
    """

    means: Tensor
    start: Tensor

    def __init__(self, start: Tensor, momentum: float) -> None:
        super().__init__()
        if len(start) < 2:
            raise ConfigurationError("rate_slope follows the slopes between iterations, and needs at least 2 of them")
        self.momentum = momentum
        self.register_buffer("start", start.clone(), persistent=False)
        self.register_buffer("means", torch.stack([start[:-1], torch.ones_like(start[:-1])]))

    def weights(self) -> Tensor:
        """``w_t``, ``[T]``."""
        gained, spent = self.means
        ratio = (gained / spent / self.start[:-1]).clamp(1.0 / LIMIT, LIMIT)
        return self.start * torch.cat([ratio, ratio[-1:]])

    @torch.no_grad()
    def update(self, distortions: Tensor, rates: Tensor) -> None:
        """Move the means towards D_t and R_t of a step, of its first n layers: ``[n]`` each."""
        steps = mean_over_ranks(torch.stack([-distortions.diff(), rates.diff()]).float())
        self.means[:, : steps.shape[1]].lerp_(steps, self.momentum)
