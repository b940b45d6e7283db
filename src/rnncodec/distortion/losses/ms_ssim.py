"""Multi-scale structural similarity, alone and with L1."""

import torch
from torch import Tensor, nn

from rnncodec.distortion.losses.falling_share import FallingShare
from rnncodec.distortion.losses.pixelwise import L1
from rnncodec.distortion.losses.similarity import ms_ssim


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
        self.share = FallingShare(share, fall)
        self.l1, self.ms_ssim = L1(), MSSSIM()

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        l1, ms_ssim = self.l1(reconstructions, images), self.ms_ssim(reconstructions, images)
        share = self.share(l1)
        return share * ms_ssim + (1.0 - share) * l1
