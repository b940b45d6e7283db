"""Structural similarity as a loss needs it: differentiable, of all iterations at once, fast on a CPU.

For measuring there is torchmetrics (:mod:`rnncodec.metrics`), against which the tests hold this. Its windows
are depthwise convolutions, slow on CPUs; here a blur is two matrix products, and what the image alone gives is
computed once for all iterations.
"""

import torch
from torch import Tensor
from torch.nn import functional

WINDOW, SIGMA = 11, 1.5
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli, Bovik 2003, from fine to coarse
C1, C2 = 0.01**2, 0.03**2  # for values in [0, 1]
SMALLEST = 1e-4  # that a factor of MS-SSIM, or a mean dissimilarity, counts as


def similarity(reconstructions: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM's two factors at each place of the window that lies inside the image (Wang et al. 2004): luminance, and
    contrast with structure, ``[T, B, 3, H - 10, W - 10]`` each."""
    x, y = reconstructions, images
    mean_x, mean_y = blur(x), blur(y)
    variance_x = blur(x * x) - mean_x**2
    variance_y = blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return luminance, structure


def ms_ssim(reconstructions: Tensor, images: Tensor) -> Tensor:
    """Multi-scale SSIM ``[T, B]`` (Wang, Simoncelli, Bovik 2003) of at most five scales: as many as have room for the
    window, their weights made to sum to one."""
    side = min(images.shape[-2:])
    count = next((n for n in range(1, len(SCALE_WEIGHTS)) if side >> n < WINDOW), len(SCALE_WEIGHTS))
    weights = images.new_tensor(SCALE_WEIGHTS[:count])
    factors = []
    for scale in range(count):
        luminance, structure = similarity(reconstructions, images)
        last = scale == count - 1
        factors.append((luminance * structure if last else structure).mean(dim=(-3, -2, -1)))  # [T, B]
        if not last:
            reconstructions, images = halve(reconstructions), halve(images)
    positive = torch.stack(factors, dim=-1).clamp(min=SMALLEST)  # there are no broken powers below zero
    return (positive ** (weights / weights.sum())).prod(dim=-1)


def halve(x: Tensor) -> Tensor:
    """The mean of each 2×2 pixels."""
    return functional.avg_pool2d(x.flatten(0, -4), 2).unflatten(0, x.shape[:-3])


def blur(x: Tensor) -> Tensor:
    """``x`` ``[…, H, W]`` under a Gaussian window, where all of it lies inside: ``[…, H - 10, W - 10]``."""
    rows, columns = (band(side).to(x) for side in x.shape[-2:])
    return rows.T @ x @ columns


def band(side: int) -> Tensor:
    """The matrix ``[side, side - 10]`` that blurs a row of pixels."""
    window = torch.exp(-((torch.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    at = torch.arange(side)[:, None] - torch.arange(side - WINDOW + 1)
    inside = (at >= 0) & (at < WINDOW)
    return torch.where(inside, window[at.clamp(0, WINDOW - 1)] / window.sum(), 0.0)
