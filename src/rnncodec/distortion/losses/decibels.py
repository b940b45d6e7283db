"""A loss on a logarithmic scale, like the qualities that users read."""

from torch import Tensor, nn

from rnncodec.distortion.losses.falling_share import FallingShare, check_share
from rnncodec.distortion.losses.ms_ssim import MSSSIM
from rnncodec.distortion.losses.pixelwise import HVS, L2
from rnncodec.distortion.losses.ssimulacra2 import SSIMULACRA2

LEAST = 1e-6  # of an error whose logarithm is taken


class Decibels(nn.Module):
    """``a_t · log(1 - MS-SSIM) + (1 - a_t) · log((1 - hvs) · MSE + hvs · MSE_HVS)`` for iteration t, with
    ``a_t = share · fall^(t-1)``. MSE_HVS is the squared error of the luma as the eye sees it, that of PSNR-HVS. With
    ``ssimulacra2`` above 0 this is multiplied by ``1 - ssimulacra2``, and ``ssimulacra2 · log((100 - S) / 100)`` is
    added, where S is the score of SSIMULACRA 2. A term whose share is 0 is not computed.

    All terms are qualities on a logarithmic scale, like PSNR, in natural logarithms: 1 is 4.34 dB. An iteration that
    takes a tenth off the error that is left counts as much as any other that does so, however small this error is. In
    the sum of plain errors the early iterations, whose errors are large, count most, and late iterations hardly learn.

    Args:
        share: the weight of MS-SSIM in the first iteration, from 0 to 1.
        fall: the weight of MS-SSIM in an iteration, divided by its weight in the one before, from 0 to 1. Late
            iterations hardly change MS-SSIM; below 1 they care for PSNR instead.
        hvs: the share of MSE_HVS in the squared error, from 0 to 1. Above 0 fewer bits go into colours and fine detail.
        ssimulacra2: the share of SSIMULACRA 2 in the loss, from 0 to 1.

    Raises:
        ConfigurationError: a share is not from 0 to 1.
    """

    def __init__(self, share: float, fall: float, hvs: float, ssimulacra2: float = 0.0) -> None:
        super().__init__()
        check_share("hvs", hvs)
        check_share("ssimulacra2", ssimulacra2)
        self.share = FallingShare(share, fall)
        self.hvs_share = hvs
        self.ssimulacra2_share = ssimulacra2
        self.l2, self.hvs, self.ms_ssim, self.ssimulacra2 = L2(), HVS(), MSSSIM(), SSIMULACRA2()

    def forward(self, reconstructions: Tensor, images: Tensor, start: int = 0) -> Tensor:
        """The loss of each iteration; ``start`` iterations come before the first of them."""
        pixels = reconstructions.float()
        squares = self.l2(pixels, images)
        if self.hvs_share:
            squares = (1.0 - self.hvs_share) * squares + self.hvs_share * self.hvs(pixels, images)
        loss = logarithm(squares)
        if self.share.share:
            share = self.share(loss, start)
            loss = share * logarithm(self.ms_ssim(reconstructions, images)) + (1.0 - share) * loss
        if self.ssimulacra2_share:
            visible = logarithm(self.ssimulacra2(reconstructions, images))
            loss = self.ssimulacra2_share * visible + (1.0 - self.ssimulacra2_share) * loss
        return loss


def logarithm(errors: Tensor) -> Tensor:
    """The natural logarithm of ``errors`` of at least LEAST."""
    return errors.clamp(min=LEAST).log()
