"""Multi-scale structural similarity, alone and with L1."""

import torch
from torch import Tensor, nn

from rnncodec.errors import ConfigurationError
from rnncodec.training.losses.pixelwise import L1, L2
from rnncodec.training.losses.similarity import ms_ssim


class MSSSIM(nn.Module):
    """``1 - MS-SSIM``, of as many of its five scales as fit into the patch: two at 32 pixels, three at 64."""

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):  # variances are small differences of large numbers
            return 1.0 - ms_ssim(reconstructions.float(), images.float()).mean(dim=1)


class L1AndMSSSIM(nn.Module):
    """``a_t · (1 - MS-SSIM) + (1 - a_t) · L1`` with ``a_t = share · fall^(t-1)`` for iteration t.

    After Zhao, Gallo, Frosio, Kautz 2017, "Loss Functions for Image Restoration with Neural Networks", equation 11,
    with a = 0.84 for a single picture. There the error of a pixel is blurred; here it is not.

    Args:
        share: the weight of MS-SSIM in the first iteration, from 0 to 1.
        fall: the weight of MS-SSIM in an iteration, divided by its weight in the one before, from 0 to 1. Late
            iterations hardly change MS-SSIM; below 1 they minimise the error of the pixels instead.
    """

    def __init__(self, share: float, fall: float) -> None:
        super().__init__()
        for name, value in (("share", share), ("fall", fall)):
            if isinstance(value, bool) or not (isinstance(value, int | float) and 0 <= value <= 1):
                raise ConfigurationError(f"loss.{name} must be from 0 to 1, not {value}")
        self.share, self.fall = share, fall
        self.l1, self.ms_ssim = L1(), MSSSIM()

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        l1, ms_ssim = self.l1(reconstructions, images), self.ms_ssim(reconstructions, images)
        share = self.share * self.fall ** torch.arange(len(l1), device=l1.device)
        return share * ms_ssim + (1.0 - share) * l1


class Decibels(nn.Module):
    """``a_t · log(1 - MS-SSIM) + (1 - a_t) · log(MSE)`` with ``a_t = share · fall^(t-1)`` for iteration t.

    Both terms are qualities on a logarithmic scale, like PSNR. So an iteration that halves the error that is left
    counts as much as any other that does, however small the error already is. Sums of plain errors are dominated by
    the early iterations, where errors are large.

    Args:
        share: the weight of MS-SSIM in the first iteration, from 0 to 1.
        fall: the weight of MS-SSIM in an iteration, divided by its weight in the one before, from 0 to 1.
    """

    def __init__(self, share: float, fall: float) -> None:
        super().__init__()
        self.share, self.fall = share, fall
        self.l2, self.ms_ssim = L2(), MSSSIM()

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        l2, ms_ssim = self.l2(reconstructions.float(), images), self.ms_ssim(reconstructions, images)
        share = self.share * self.fall ** torch.arange(len(l2), device=l2.device)
        return share * ms_ssim.clamp(min=1e-5).log() + (1.0 - share) * l2.clamp(min=1e-6).log()
