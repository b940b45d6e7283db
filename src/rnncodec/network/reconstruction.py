"""Reconstruction frameworks: how the decoder's outputs add up to a picture (Toderici et al. 2017, section 3.2).

Each has ``gain(previous, t)``, by which the residual is multiplied before it is encoded, and ``forward(decoded,
previous, amplification)``, the new reconstruction. Pictures are ``[B, 3, H, W]``, shifted by -½: ``previous`` is the
last reconstruction, and ``decoded`` the decoder's output. The gain is ``[]`` or ``[B, 1, H, W]``; ``amplification`` is
the gain divided by the scale of the residual (`rnncodec.network.residual_normalization`). The encoder and the decoder
both know all of this. The first t is 0; it may be a tensor ``[]``, as in `rnncodec.network.projection`.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class OneShot(nn.Module):
    """``x̂_t = D_t(b_t)``: every iteration reconstructs the whole picture (γ = 0)."""

    def gain(self, previous: Tensor, t: int | Tensor) -> Tensor:
        return previous.new_ones(())

    def forward(self, decoded: Tensor, previous: Tensor, amplification: Tensor) -> Tensor:
        return decoded.float()


class Additive(nn.Module):
    """``x̂_t = x̂_{t-1} + D_t(b_t) ⊘ amplification``: every iteration adds a correction (γ = 1)."""

    def gain(self, previous: Tensor, t: int | Tensor) -> Tensor:
        return previous.new_ones(())

    def forward(self, decoded: Tensor, previous: Tensor, amplification: Tensor) -> Tensor:
        return previous.addcdiv(decoded.float(), amplification)


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
