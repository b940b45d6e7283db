"""Structural similarity for losses: differentiable, for all iterations at once, and fast on a CPU.

Measurements use torchmetrics (`rnncodec.distortion.metrics`); the tests compare the two. There the window is a
depthwise convolution, which is slow on CPUs. Here patches are blurred by matrix products, and the statistics of the
image are computed once for all iterations.
"""

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from rnncodec.distortion.blur import blur

WINDOW, SIGMA = 11, 1.5
GAUSSIAN = tuple(math.exp(-((at - WINDOW // 2) ** 2) / (2 * SIGMA**2)) for at in range(WINDOW))
TAPS = tuple(value / sum(GAUSSIAN) for value in GAUSSIAN)
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli, Bovik 2003, from fine to coarse
C1, C2 = 0.01**2, 0.03**2  # for values in [0, 1]
SMALLEST = 1e-4  # the least value of a factor of MS-SSIM, and of a mean dissimilarity


def similarity(reconstructions: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """The two factors of SSIM (Wang et al. 2004), luminance and contrast · structure, at each position where the window
    lies inside the image: ``[T, B, 3, H - 10, W - 10]`` each."""
    x, y = reconstructions, images
    mean_x, mean_y = smooth(x), smooth(y)
    variance_x = smooth(x * x) - mean_x**2
    variance_y = smooth(y * y) - mean_y**2
    covariance = smooth(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return luminance, structure


def ms_ssim(reconstructions: Tensor, images: Tensor) -> Tensor:
    """Multi-scale SSIM ``[T, B]`` (Wang, Simoncelli, Bovik 2003) of as many of its five scales as are at least as
    large as the window. The weights of these scales are divided by their sum."""
    side = min(images.shape[-2:])
    count = next((n for n in range(1, len(SCALE_WEIGHTS)) if side >> n < WINDOW), len(SCALE_WEIGHTS))
    weights = scale_weights(count, images.dtype, images.device)
    factors = []
    for scale in range(count):
        luminance, structure = similarity(reconstructions, images)
        last = scale == count - 1
        factors.append((luminance * structure if last else structure).mean(dim=(-3, -2, -1)))  # [T, B]
        if not last:
            reconstructions, images = halve(reconstructions), halve(images)
    positive = torch.stack(factors, dim=-1).clamp(min=SMALLEST)  # a negative number has no fractional power
    return (positive ** (weights / weights.sum())).prod(dim=-1)


@cache
@torch.inference_mode(False)  # a tensor made in inference mode could not be used in training later
def scale_weights(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The weights of the ``count`` finest scales; on a GPU they are copied to it once, not in each step."""
    return torch.tensor(SCALE_WEIGHTS[:count], dtype=dtype, device=device)


def halve(x: Tensor) -> Tensor:
    """The mean of each 2×2 pixels."""
    return functional.avg_pool2d(x.flatten(0, -4), 2).unflatten(0, x.shape[:-3])


def smooth(x: Tensor) -> Tensor:
    """``x`` ``[…, C, H, W]`` convolved with a Gaussian window, without padding: ``[…, C, H - 10, W - 10]``."""
    return blur(x, TAPS, 0)
