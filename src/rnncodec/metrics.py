"""Rate and distortion. The distortion measures take float tensors ``[B, 3, H, W]`` of 8-bit pixels, from 0 to 255, and
return one value for each image, ``[B]``."""

import math

import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure, peak_signal_noise_ratio

from rnncodec.imaging import Pixels

DATA_RANGE = 255.0
SMALLEST_SIDE = 176  # pixels that the five scales of MS-SSIM need, as torchmetrics computes them
BLOCK = 8  # pixels on a side of the blocks of PSNR-HVS

# The sensitivity of the eye to each DCT coefficient: the constants of the authors' psnrhvsm.m.
CONTRAST_SENSITIVITY = torch.tensor(
    [
        [1.608443, 2.339554, 2.573509, 1.608443, 1.072295, 0.643377, 0.504610, 0.421887],
        [2.144591, 2.144591, 1.838221, 1.354478, 0.989811, 0.443708, 0.428918, 0.467911],
        [1.838221, 1.979622, 1.608443, 1.072295, 0.643377, 0.451493, 0.372972, 0.459555],
        [1.838221, 1.513829, 1.169777, 0.887417, 0.504610, 0.295806, 0.321689, 0.415082],
        [1.429727, 1.169777, 0.695543, 0.459555, 0.378457, 0.236102, 0.249855, 0.334222],
        [1.072295, 0.735288, 0.467911, 0.402111, 0.317717, 0.247453, 0.227744, 0.279729],
        [0.525206, 0.402111, 0.329937, 0.295806, 0.249855, 0.212687, 0.214459, 0.254803],
        [0.357432, 0.279729, 0.270896, 0.262603, 0.229778, 0.257351, 0.249855, 0.259950],
    ],
    dtype=torch.float64,
)


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


def psnr_hvs(reconstruction: Tensor, image: Tensor) -> Tensor:
    """PSNR-HVS in dB of the luma (Egiazarian et al. 2006): the error of the DCT of each 8×8 block, weighted by the
    sensitivity of the eye. Rows and columns beyond the last whole block are left out."""
    error = luma(reconstruction) - luma(image)
    height, width = (side // BLOCK * BLOCK for side in error.shape[-2:])
    blocks = error[:, :height, :width].unflatten(2, (-1, BLOCK)).unflatten(1, (-1, BLOCK)).transpose(2, 3)
    dct = dct_matrix(BLOCK).to(error.device)
    weighted = dct @ blocks @ dct.T * CONTRAST_SENSITIVITY.to(error.device)
    return 10.0 * torch.log10(DATA_RANGE**2 / weighted.square().mean(dim=(1, 2, 3, 4)))


def luma(image: Tensor) -> Tensor:
    """Y of JPEG's YCbCr (ITU-R BT.601, full range), ``[B, 3, H, W]`` to ``[B, H, W]``. It is rounded to 8 bits as in
    the published values of PSNR-HVS, and equals Pillow's conversion exactly."""
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64, device=image.device)
    return (64.0 * weights[:, None, None] * image).round().sum(dim=1).div(64.0).floor()


def dct_matrix(size: int) -> Tensor:
    """The orthonormal DCT-II: row k holds the k-th cosine."""
    k, n = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(math.pi * k * (n + 0.5) / size) * math.sqrt(2.0 / size)
    matrix[0] /= math.sqrt(2.0)
    return matrix
