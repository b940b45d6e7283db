"""L1 that counts most where the structure is lost."""

import torch
from torch import Tensor, nn

from rnncodec.training.losses.similarity import SMALLEST, similarity


class SSIMWeightedL1(nn.Module):
    """The mean of ``w · |r_t|``, where w is a pixel's dissimilarity ``(1 - SSIM) / 2``, averaged over the channels,
    divided by its mean over all pixels of the iteration (Johnston et al. 2018, section 3.3). w is a constant to the
    gradient."""

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        errors = (reconstructions - images).abs()
        with torch.autocast(images.device.type, enabled=False):  # variances are small differences
            luminance, structure = similarity(reconstructions.detach().float(), images.float())
        weights = (1.0 - luminance * structure).mean(dim=2, keepdim=True) / 2.0
        mean = weights.mean(dim=(1, 2, 3, 4), keepdim=True).clamp(min=SMALLEST)
        return (errors * weights / mean).mean(dim=(1, 2, 3, 4))
