"""Losses that are means over pixels."""

import torch
from torch import Tensor, nn

from rnncodec.distortion.psnr_hvs import LUMA, visible


class L1(nn.Module):
    """The mean of ``|r_t|`` over pixels (Toderici et al. 2017, equation 4: β = 1 / (B·H·W·C·n); the mean over the n
    iterations is taken by the training step)."""

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        return (reconstructions - images).abs().mean(dim=(1, 2, 3, 4))


class L2(nn.Module):
    """The mean of ``r_t²`` over pixels: PSNR is ``-10 log10`` of it."""

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        return (reconstructions - images).square().mean(dim=(1, 2, 3, 4))


class HVS(nn.Module):
    """The mean of the squared error of the luma as the eye sees it: PSNR-HVS is ``-10 log10`` of it (Egiazarian et al.
    2006), but for the rounding of the luma. Blocks of 8×8 pixels begin at the top left of a patch."""

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            error = ((reconstructions - images) * LUMA[:, None, None].to(images)).sum(dim=2)
            return visible(error).square().mean(dim=(1, 2, 3))
