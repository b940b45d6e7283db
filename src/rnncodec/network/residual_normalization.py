"""Residual normalization: the encoder sees residuals of unit scale at every iteration.

Residuals shrink from one iteration to the next. An encoder that sees the residuals themselves learns nothing from
the later iterations for a long time. So the residual r_t is divided by a scale ``s_t``, a running estimate of its root
mean square (RMS), before it is encoded. In additive frameworks the output of the decoder is multiplied by ``s_t``; a
one-shot decoder gives the picture itself. Then each iteration improves on the one before from the start.
"""

import torch
from torch import Tensor, distributed, nn

CAPACITY = 64  # the most iterations that can be trained; later iterations use the scale of the last trained one
MOMENTUM = 0.02  # of the running estimate, which averages about 50 steps


class ResidualNormalization(nn.Module):
    """Keeps the running RMS of r_t over the training batches of all ranks, for each iteration t, in a buffer that is
    saved with the weights."""

    rms: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rms", torch.full((CAPACITY,), 0.25))

    def scales(self) -> Tensor:
        """The scale of each iteration ``[CAPACITY]``. It is a copy: a later `update` does not change it."""
        return self.rms.clone()

    @torch.no_grad()
    def update(self, residuals: Tensor) -> None:
        """Move the estimates towards the RMS of ``residuals`` ``[T, B, 3, H, W]``, those of iterations 1 to T, on
        all ranks together. Iterations that were never trained have the estimate of the last one that was; those after T
        that were trained in an earlier step keep theirs.

        Raises:
            ValueError: T is larger than CAPACITY.
        """
        iterations = len(residuals)
        if iterations > CAPACITY:
            raise ValueError(f"residual normalization trains at most {CAPACITY} iterations, not {iterations}")
        mean_square = mean_over_ranks(residuals.float().square().mean(dim=(1, 2, 3, 4)))
        last, later = self.rms[iterations - 1].clone(), self.rms[iterations:]
        untrained = later == last  # compared on the device, which a step must not wait for
        self.rms[:iterations].lerp_(mean_square.sqrt(), MOMENTUM)
        later.copy_(torch.where(untrained, self.rms[iterations - 1], later))


class Unnormalized(nn.Module):
    """The paper's plain residuals: a scale of 1 throughout."""

    ones: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("ones", torch.ones(CAPACITY), persistent=False)

    def scales(self) -> Tensor:
        return self.ones

    def update(self, residuals: Tensor) -> None:
        """Nothing to learn."""


def mean_over_ranks(values: Tensor) -> Tensor:
    """The mean of ``values`` over all ranks, the same on each of them."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(values)
        return values / distributed.get_world_size()
    return values
