"""The binarizer maps features to codes in {-1, +1} (Toderici et al. 2016, arXiv 1511.06085, section 3.2)."""

import torch
from torch import Tensor, nn

from rnncodec.network.projection import Projection


def sign(x: Tensor) -> Tensor:
    """-1 where x < 0, else +1."""
    return torch.where(x < 0, -1.0, 1.0).to(x.dtype)


class Binarizer(nn.Module):
    """``sign(tanh(conv_t(x)))``, in two parts: `project` is ``tanh(conv_t(x))``, ``[B, C, h, w] -> [B, bits, h, w]``,
    where conv_t is a `Projection`; `forward` is the sign, with the gradient of the identity."""

    def __init__(self, in_channels: int, bits: int, projections: int) -> None:
        super().__init__()
        self.conv = Projection(in_channels, bits, projections)

    def project(self, features: Tensor, t: int | Tensor) -> Tensor:
        """The activations, from -1 to 1, of the features in iteration t; the first is 0."""
        return self.conv(features, t).tanh()

    def forward(self, activations: Tensor) -> Tensor:
        """The codes of the activations."""
        codes = self.binarize(activations).detach()
        return codes + (activations - activations.detach())  # adds exactly 0: the codes stay exactly -1 or +1

    def binarize(self, activations: Tensor) -> Tensor:
        return sign(activations)


class StochasticBinarizer(Binarizer):
    """In training the code is +1 with probability ``(1 + tanh) / 2``, else -1. At inference it is the sign."""

    def binarize(self, activations: Tensor) -> Tensor:
        if not self.training:
            return sign(activations)
        noise = torch.rand_like(activations, dtype=torch.float32)  # bfloat16 has too few values near 0 and 1
        return sign(activations.float() + 1.0 - 2.0 * noise).to(activations.dtype)


BINARIZERS = {"deterministic": Binarizer, "stochastic": StochasticBinarizer}
