"""Losses: functions of the reconstructions ``[T, B, 3, H, W]`` and the images ``[B, 3, H, W]``, both in [0, 1]. They
return a value for each iteration, ``[T]``."""

from rnncodec.distortion.losses.decibels import Decibels
from rnncodec.distortion.losses.ms_ssim import MSSSIM, L1AndMSSSIM
from rnncodec.distortion.losses.pixelwise import HVS, L1, L2
from rnncodec.distortion.losses.ssimulacra2 import SSIMULACRA2
from rnncodec.distortion.losses.weighted import SSIMWeightedL1

__all__ = ["HVS", "L1", "L2", "MSSSIM", "SSIMULACRA2", "Decibels", "L1AndMSSSIM", "SSIMWeightedL1"]
