"""Multi-scale structural similarity, alone and with L1."""

import torch
from torch import Tensor, nn

from rnncodec.errors import ConfigurationError
from rnncodec.training.losses.pixelwise import L1
from rnncodec.training.losses.similarity import ms_ssim


class MSSSIM(nn.Module):
    """``1 - MS-SSIM``, of as many of its five scales as fit into the patch: two at 32 pixels, three at 64."""

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):  # variances are small differences of large numbers
            return 1.0 - ms_ssim(reconstructions.float(), images.float()).mean(dim=1)


class L1AndMSSSIM(nn.Module):
    """``share · (1 - MS-SSIM) + (1 - share) · L1`` (Zhao, Gallo, Frosio, Kautz 2017, "Loss Functions for Image
    Restoration with Neural Networks", equation 11, whose share is 0.84; here the error of a pixel is not blurred).

    Args:
        share: the weight of MS-SSIM, from 0 to 1.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        if isinstance(share, bool) or not (isinstance(share, int | float) and 0 <= share <= 1):
            raise ConfigurationError(f"loss.share must be from 0 to 1, not {share}")
        self.share = share
        self.l1, self.ms_ssim = L1(), MSSSIM()

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        l1, ms_ssim = self.l1(reconstructions, images), self.ms_ssim(reconstructions, images)
        return self.share * ms_ssim + (1.0 - self.share) * l1
