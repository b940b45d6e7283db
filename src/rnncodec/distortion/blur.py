"""Blurs of pictures by windows that are the product of a row and a column."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

# In pixels. On a CPU matrix products blur patches four times as fast as convolutions, and photos slower.
LARGEST_BAND = 256


def blur(x: Tensor, taps: tuple[float, ...], margin: int) -> Tensor:
    """``x`` ``[…, C, H, W]`` convolved with ``taps``, an odd number of them, along rows and along columns, with
    ``margin`` zeros around: ``[…, C, H + 2 · margin - len(taps) + 1, W + …]``. It is differentiable."""
    if max(x.shape[-2:]) <= LARGEST_BAND:
        rows, columns = (band(taps, margin, side, x.dtype, x.device) for side in x.shape[-2:])
        return rows.T @ x @ columns
    planes = x.reshape(-1, *x.shape[-3:])
    channels = planes.shape[1]
    weight = torch.tensor(taps, dtype=x.dtype, device=x.device).repeat(channels, 1)
    planes = functional.conv2d(planes, weight[:, None, None, :], padding=(0, margin), groups=channels)
    planes = functional.conv2d(planes, weight[:, None, :, None], padding=(margin, 0), groups=channels)
    return planes.view(*x.shape[:-2], *planes.shape[-2:])


@cache
@torch.inference_mode(False)  # a tensor made in inference mode could not be used in training later
def band(taps: tuple[float, ...], margin: int, side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix ``[side, side + 2 · margin - len(taps) + 1]`` by which a row of pixels is multiplied to blur it. It is
    made once for each size and device."""
    window = torch.tensor(taps, dtype=torch.float64)
    at = torch.arange(side)[:, None] - torch.arange(side + 2 * margin - len(taps) + 1) + margin
    inside = (at >= 0) & (at < len(taps))
    return torch.where(inside, window[at.clamp(0, len(taps) - 1)], 0.0).to(device, dtype)
