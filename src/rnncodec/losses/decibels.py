"""A loss on a logarithmic scale, like the qualities that users read."""

from torch import Tensor, nn

from rnncodec.losses.falling_share import FallingShare
from rnncodec.losses.ms_ssim import MSSSIM
from rnncodec.losses.pixelwise import L2

LEAST = 1e-6  # of an error whose logarithm is taken


class Decibels(nn.Module):
    """``a_t · log(1 - MS-SSIM) + (1 - a_t) · log(MSE)`` with ``a_t = share · fall^(t-1)`` for iteration t.

    Both terms are qualities on a logarithmic scale, like PSNR. An iteration that takes a tenth off the error that is
    left counts as much as any other that does so, however small this error is. In the sum of plain errors the early
    iterations, whose errors are large, count most, and late iterations hardly learn.

    Args:
        share: the weight of MS-SSIM in the first iteration, from 0 to 1.
        fall: the weight of MS-SSIM in an iteration, divided by its weight in the one before, from 0 to 1. Late
            iterations hardly change MS-SSIM; below 1 they care for PSNR instead.
    """

    def __init__(self, share: float, fall: float) -> None:
        super().__init__()
        self.share = FallingShare(share, fall)
        self.l2, self.ms_ssim = L2(), MSSSIM()

    def forward(self, reconstructions: Tensor, images: Tensor, start: int = 0) -> Tensor:
        """The loss of each iteration; ``start`` iterations come before the first of them."""
        l2, ms_ssim = self.l2(reconstructions.float(), images), self.ms_ssim(reconstructions, images)
        share = self.share(l2, start)
        return share * ms_ssim.clamp(min=LEAST).log() + (1.0 - share) * l2.clamp(min=LEAST).log()
