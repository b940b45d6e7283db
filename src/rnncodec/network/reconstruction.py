"""Reconstruction frameworks: how the decoder's outputs add up to a picture (Toderici et al. 2017, section 3.2).

Each has a gain, by which the residual is multiplied before it is encoded, and an update of the reconstruction. The
gain is a function of the previous reconstruction, which the encoder and the decoder both know, and of the iteration t;
the first is 0. ``t`` may be a tensor ``[]``, as in `rnncodec.network.projection`.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class OneShot(nn.Module):
    """``x̂_t = D_t(b_t)``: every iteration reconstructs the whole picture (γ = 0)."""

    def gain(self, previous: Tensor, t: int | Tensor) -> Tensor:
        return previous.new_ones(())

    def forward(self, decoded: Tensor, previous: Tensor, gain: Tensor) -> Tensor:
        return decoded.float()


class Additive(nn.Module):
    """``x̂_t = x̂_{t-1} + D_t(b_t) / gain``: every iteration adds a correction (γ = 1)."""

    def gain(self, previous: Tensor, t: int | Tensor) -> Tensor:
        return previous.new_ones(())

    def forward(self, decoded: Tensor, previous: Tensor, gain: Tensor) -> Tensor:
        return previous.addcdiv(decoded.float(), gain)


class ResidualScaling(Additive):
    """Additive with a learned gain for each patch of 32×32 pixels: ``g_t = 2 + G(x̂_t)``, ``g_0 = 1``.

    G is five 3×3 convolutions of stride 2 with ELU; its output is raised to full size by zero-order hold. ELU stays
    above -1, so the gain stays above 1.
    """

    PATCH = 32

    def __init__(self) -> None:
        super().__init__()
        channels = [3, 32, 32, 32, 32, 1]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(channels):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.ELU()]
        self.network = nn.Sequential(*layers)

    def gain(self, previous: Tensor, t: int | Tensor) -> Tensor:
        if isinstance(t, int) and t == 0:
            return previous.new_ones(())
        gain = 2.0 + self.network(previous.contiguous()).float()  # in one memory layout, for the same rounding
        gain = functional.interpolate(gain, scale_factor=self.PATCH, mode="nearest")
        gain = gain[..., : previous.shape[-2], : previous.shape[-1]]
        return torch.where(t == 0, torch.ones_like(gain), gain) if isinstance(t, Tensor) else gain


RECONSTRUCTIONS: dict[str, type[OneShot | Additive]] = {
    "one_shot": OneShot,
    "additive": Additive,
    "residual_scaling": ResidualScaling,
}

# The frameworks whose gain is the same for every picture and pixel, and whose update is linear in both pictures: it may
# be applied to whatever the pixels are a linear function of. A subclass may have another gain, and is none of these.
LINEAR = (OneShot, Additive)

__all__ = ["LINEAR", "RECONSTRUCTIONS", "Additive", "OneShot", "ResidualScaling"]
