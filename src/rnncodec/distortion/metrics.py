"""Measures of distortion. They take float tensors ``[B, 3, H, W]`` of 8-bit pixels, from 0 to 255, and return one value
for each image, ``[B]``."""

import math

import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure, peak_signal_noise_ratio

from rnncodec.distortion.psnr_hvs import LUMA, visible
from rnncodec.pictures.pixels import Pixels

DATA_RANGE = 255.0
SMALLEST_SIDE = 176  # pixels that the five scales of MS-SSIM need, as torchmetrics computes them


def as_tensor(pixels: Pixels) -> Tensor:
    """uint8 ``[H, W, 3]`` as float ``[1, 3, H, W]``, from 0 to 255, for the measures below."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()


def psnr(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB over all three channels at once."""
    return peak_signal_noise_ratio(reconstruction, image, data_range=DATA_RANGE, reduction="none", dim=(1, 2, 3))


def ms_ssim(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Multi-scale structural similarity, RGB, five scales (Wang et al. 2003); no side under SMALLEST_SIDE pixels."""
    value = multiscale_structural_similarity_index_measure(
        reconstruction, image, data_range=DATA_RANGE, reduction="none"
    )
    assert isinstance(value, torch.Tensor)
    return value


def decibels(similarity: float) -> float:
    """MS-SSIM in dB, -10 log10(1 - MS-SSIM); at most 100, so that equal pictures have a value, too."""
    return -10.0 * math.log10(max(1.0 - similarity, 1e-10))


def psnr_hvs(reconstruction: Tensor, image: Tensor) -> Tensor:
    """PSNR-HVS in dB of the luma (Egiazarian et al. 2006): the error of the DCT of each 8×8 block, weighted by the
    sensitivity of the eye. Rows and columns beyond the last whole block are left out."""
    error = luma(reconstruction) - luma(image)
    return 10.0 * torch.log10(DATA_RANGE**2 / visible(error).square().mean(dim=(1, 2)))


def luma(image: Tensor) -> Tensor:
    """Y of JPEG's YCbCr (ITU-R BT.601, full range), ``[B, 3, H, W]`` to ``[B, H, W]``. It is rounded to 8 bits as in
    the published values of PSNR-HVS, and equals Pillow's conversion exactly."""
    weights = LUMA[:, None, None].to(image.device)
    return (64.0 * weights * image).round().sum(dim=1).div(64.0).floor()
