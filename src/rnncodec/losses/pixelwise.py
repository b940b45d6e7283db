"""Losses that are means over pixels."""

from torch import Tensor, nn


class L1(nn.Module):
    """The mean of ``|r_t|`` over pixels (Toderici et al. 2017, equation 4: β = 1 / (B·H·W·C·n); the mean over the n
    iterations is taken by the training step)."""

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        return (reconstructions - images).abs().mean(dim=(1, 2, 3, 4))


class L2(nn.Module):
    """The mean of ``r_t²`` over pixels: PSNR is ``-10 log10`` of it."""

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        return (reconstructions - images).square().mean(dim=(1, 2, 3, 4))
