"""The checkerboard context model: it predicts a bit from neighbours already coded and from earlier iterations.

Groups as in He et al., "Checkerboard Context Model for Efficient Learned Image Compression" (CVPR 2021), on nested
grids (see `rnncodec.entropy.order`), and, within a position, channel groups as in He et al., "ELIC" (CVPR 2022).

Its inputs are whole numbers (codes and sums of codes), and its layers are plain matrix products. So all of it is exact
once its weights are whole numbers too: see `rnncodec.entropy.checkerboard_integers`.
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnncodec.entropy.config import OLDEST, CheckerboardConfig
from rnncodec.entropy.order import STAGES, channel_groups, offsets, stages

TOP = 16.0  # activations are clipped here


class Checkerboard(nn.Module):
    """Maps codes ``[T, B, bits, h, w]`` in {-1, +1} to the logits of P(bit = 1), of the same shape. Each logit depends
    only on bits that are coded earlier. With ``start`` only the logits from this iteration on are computed,
    ``[T - start, B, bits, h, w]``; the first is 0.

    The features of a position are the sum of three linear maps: of its neighbours of earlier stages in this iteration
    (``window``); of its neighbours in the two iterations before and of the sum of all older codes at the position
    (``past``); and of its own bits of earlier channel groups (``centre``, one map for each group). Two layers follow,
    which all groups share.
    """

    visible: Tensor

    def __init__(self, config: CheckerboardConfig) -> None:
        super().__init__()
        self.config = config
        self.channels = channel_groups(config.bits, config.groups)
        first, second = config.hidden
        past = 2 * (2 * config.past_radius + 1) ** 2 + 1
        self.window = nn.Linear(len(offsets(config.radius)) * config.bits, first, bias=False)
        self.past = nn.Linear(past * config.bits, first, bias=False)
        self.centre = nn.Parameter(0.05 * torch.randn(len(self.channels), config.bits, first))
        self.iteration = nn.Parameter(torch.zeros(config.iterations, first))
        self.stage = nn.Parameter(0.1 * torch.randn(STAGES, first))
        self.group = nn.Parameter(0.1 * torch.randn(len(self.channels), first))
        self.hidden = nn.Linear(first, second)
        self.output = nn.Parameter(0.05 * torch.randn(config.bits, second))
        self.output_bias = nn.Parameter(torch.zeros(config.iterations, config.bits))
        self.register_buffer("visible", visible(self.channels, config.bits), persistent=False)

    def forward(self, codes: Tensor, start: int = 0) -> Tensor:
        height, width = codes.shape[-2:]
        t = torch.arange(start, len(codes), device=codes.device).clamp(max=self.config.iterations - 1)
        codes = codes.to(self.output.dtype)
        stage = stage_grid(height, width, codes.device)
        past = self._past(codes)[start:]
        codes = codes[start:]
        features = self.window(neighbours(codes, stage, self.config.radius))  # [T - start, B, N, first]
        features = features + self.past(past)
        features = features + self.stage[stage.flatten()] + self.iteration[t][:, None, None]
        own = codes.flatten(3).transpose(2, 3)  # [T - start, B, N, bits]
        logits = []
        for group, channels in enumerate(self.channels):
            seen = own @ (self.centre[group] * self.visible[group]) + self.group[group]
            hidden = activate(self.hidden(activate(features + seen)))
            logits.append(hidden @ self.output[channels].T + self.output_bias[t][:, None, None, channels])
        return torch.cat(logits, dim=3).transpose(2, 3).reshape(codes.shape)

    def _past(self, codes: Tensor) -> Tensor:
        """The codes of the last two iterations around each position, and the sum of all older codes at the position,
        clipped to ±OLDEST: ``[T, B, N, …]``."""
        before = functional.pad(codes, (0, 0) * 4 + (3, 0))[: len(codes) + 2]  # three empty iterations come first
        sums = before.cumsum(dim=0)[: len(codes)].clamp(-OLDEST, OLDEST)
        radius = self.config.past_radius
        last, second_last = before[2:], before[1:-1]
        parts = [surroundings(last, radius), surroundings(second_last, radius), sums.flatten(3).transpose(2, 3)]
        return torch.cat(parts, dim=3)


def visible(channels: Sequence[slice], bits: int) -> Tensor:
    """1 for the bits of a position that are coded before each group of ``channels``, else 0: ``[groups, bits, 1]``."""
    earlier = torch.zeros(len(channels), bits, 1)
    for group, own in enumerate(channels):
        earlier[group, : own.start] = 1.0
    return earlier


@cache
@torch.inference_mode(False)  # a tensor made in inference mode could not be used in training later
def stage_grid(height: int, width: int, device: torch.device) -> Tensor:
    """The stage of each position; on a GPU it is copied to it once, not in each step."""
    return torch.from_numpy(stages(height, width)).to(device)


def neighbours(codes: Tensor, stage: Tensor, radius: int) -> Tensor:
    """The codes around each of the N = h · w positions, ``[T, B, C, h, w] -> [T, B, N, offsets · C]``. Positions whose
    ``stage`` is not an earlier one, and positions outside the picture, are 0."""
    side = 2 * radius + 1
    outside = functional.pad(stage.to(codes.dtype)[None, None], (radius,) * 4, value=STAGES)
    known = functional.unfold(outside, side)[0] < stage.flatten()  # [side², N]
    around = surroundings(codes, radius).unflatten(3, (side**2, -1)) * known.T[..., None]  # [T, B, N, side², C]
    middle = side**2 // 2
    return torch.cat([around[..., :middle, :], around[..., middle + 1 :, :]], dim=3).flatten(3)


def activate(x: Tensor) -> Tensor:
    """The activation of hidden layers."""
    return functional.hardtanh(x, 0.0, TOP)


def surroundings(codes: Tensor, radius: int) -> Tensor:
    """The values within ``radius`` of each position: ``[T, B, C, h, w] -> [T, B, N, side² · C]``, offsets first."""
    side = 2 * radius + 1
    columns = functional.unfold(codes.flatten(0, 1), side, padding=radius)  # [T·B, C · side², N]
    columns = columns.unflatten(1, (codes.shape[2], side**2)).permute(0, 3, 2, 1)
    return columns.flatten(2).unflatten(0, codes.shape[:2])
