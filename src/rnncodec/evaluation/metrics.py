"""Distortion measures on 8-bit pixels: float tensors ``[B, 3, H, W]`` in 0 … 255 to one value an image ``[B]``."""

import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure, peak_signal_noise_ratio

DATA_RANGE = 255.0


def psnr(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB over all three channels at once."""
    return peak_signal_noise_ratio(reconstruction, image, data_range=DATA_RANGE, reduction="none", dim=(1, 2, 3))


def ms_ssim(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Multi-scale structural similarity, RGB, five scales (Wang et al. 2003); sides must exceed 160 pixels."""
    value = multiscale_structural_similarity_index_measure(
        reconstruction, image, data_range=DATA_RANGE, reduction="none"
    )
    assert isinstance(value, torch.Tensor)
    return value
