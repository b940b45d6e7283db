"""L1, weighted by the loss of structure."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnncodec.distortion.losses.similarity import SMALLEST, WINDOW, similarity


class SSIMWeightedL1(nn.Module):
    """The mean of ``w · |r_t|``, where w is a pixel's dissimilarity ``(1 - SSIM) / 2``, averaged over the channels,
    divided by its mean over all pixels of the iteration (Johnston et al. 2018, section 3.3). No gradient flows
    through w."""

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        errors = (reconstructions - images).abs()
        weights = dissimilarity(reconstructions.detach().float(), images.float())
        mean = weights.mean(dim=(1, 2, 3, 4), keepdim=True).clamp(min=SMALLEST)
        return (errors * weights / mean).mean(dim=(1, 2, 3, 4))


def dissimilarity(reconstructions: Tensor, images: Tensor) -> Tensor:
    """``(1 - SSIM) / 2`` around each pixel, ``[T, B, 1, H, W]``; the pictures are mirrored beyond their edges."""
    margin = (WINDOW // 2,) * 4
    with torch.autocast(images.device.type, enabled=False):
        padded = functional.pad(reconstructions.flatten(0, 1), margin, "reflect").unflatten(
            0, reconstructions.shape[:2]
        )
        luminance, structure = similarity(padded, functional.pad(images, margin, "reflect"))
    return (1.0 - luminance * structure).mean(dim=2, keepdim=True) / 2.0
