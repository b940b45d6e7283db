"""Residual normalization: the encoder sees residuals of unit scale at every iteration.

Residuals shrink from one iteration to the next, and an encoder fed the plain ones learns nothing from the later
iterations for a long time. Dividing iteration t's residual by a running root mean square, and multiplying the decoder's
output by it, lets each iteration improve on the one before from the start.
"""

import torch
from torch import Tensor, nn

CAPACITY = 64  # iterations that can be trained; later ones use the scale of the last
MOMENTUM = 0.02  # the running value's memory is about 50 steps


class ResidualNormalization(nn.Module):
    """The running RMS of r_t over training batches, one for each iteration; a buffer, saved with the weights."""

    rms: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rms", torch.full((CAPACITY,), 0.25))

    def scales(self) -> Tensor:
        """The scale of each iteration ``[CAPACITY]``, as it stands now: `update` does not change it."""
        return self.rms.clone()

    @torch.no_grad()
    def update(self, residuals: Tensor) -> None:
        """Move the running values towards the RMS of ``residuals`` ``[T, B, 3, H, W]``, those of iterations 1 to T.

        Raises:
            ValueError: T is larger than CAPACITY.
        """
        iterations = len(residuals)
        if iterations > CAPACITY:
            raise ValueError(f"residual normalization trains at most {CAPACITY} iterations, not {iterations}")
        rms = residuals.float().square().mean(dim=(1, 2, 3, 4)).sqrt()
        self.rms[:iterations].lerp_(rms, MOMENTUM)
        self.rms[iterations:] = self.rms[iterations - 1]


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
