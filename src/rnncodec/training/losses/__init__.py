"""Losses: reconstructions ``[T, B, 3, H, W]`` and images ``[B, 3, H, W]``, in [0, 1], to a value for each iteration
``[T]``."""

from rnncodec.training.losses.ms_ssim import MSSSIM, L1AndMSSSIM
from rnncodec.training.losses.pixelwise import L1, L2
from rnncodec.training.losses.weighted import SSIMWeightedL1

__all__ = ["L1", "L2", "MSSSIM", "L1AndMSSSIM", "SSIMWeightedL1"]
