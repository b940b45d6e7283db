"""The binarizer: features to codes in {-1, +1} (Toderici et al. 2016, arXiv 1511.06085, section 3.2)."""

import torch
from torch import Tensor, nn


def sign(x: Tensor) -> Tensor:
    """-1 or +1, of exactly 0: +1."""
    return torch.where(x < 0, -1.0, 1.0).to(x.dtype)


class Binarizer(nn.Module):
    """``sign(tanh(conv(x)))`` with the gradient of the identity: ``[B, C, h, w] -> [B, bits, h, w]``."""

    def __init__(self, in_channels: int, bits: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, bits, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        activations = self.conv(features).tanh()
        codes = self.binarize(activations).detach()
        return codes + (activations - activations.detach())  # adds exactly 0: the codes stay exactly -1 or +1

    def binarize(self, activations: Tensor) -> Tensor:
        return sign(activations)


class StochasticBinarizer(Binarizer):
    """In training +1 with probability ``(1 + tanh) / 2``, else -1; the sign at inference."""

    def binarize(self, activations: Tensor) -> Tensor:
        if not self.training:
            return sign(activations)
        return sign(activations + 1.0 - 2.0 * torch.rand_like(activations))


BINARIZERS = {"deterministic": Binarizer, "stochastic": StochasticBinarizer}
