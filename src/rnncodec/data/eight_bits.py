"""Pictures between files, which hold 8-bit samples, and networks, which compute with floats."""

import torch
from torch import Tensor


def from_eight_bits(samples: Tensor) -> Tensor:
    """A batch of uint8 ``[B, 3, H, W]`` as float32 in [0, 1], channels last in memory, which is fast to convolve."""
    return (samples.float() / 255.0).to(memory_format=torch.channels_last)


def to_eight_bits(images: Tensor) -> Tensor:
    """Images of any shape in [0, 1] as uint8, clipped and rounded half to even, as decoders do."""
    return (images.clamp(0.0, 1.0) * 255.0).round().byte()
