"""Blocks that are good enough already send no more bits (spatially adaptive bit rates, Johnston et al. 2018).

All bits of such a block are +1. The decoder recognises it by that, and adds nothing to it, so that it stays as it is.
A context model soon learns that a block whose bits were all +1 has only such bits in later iterations, too.
"""

from torch import Tensor
from torch.nn import functional

from rnncodec.network.blocks import in_blocks
from rnncodec.network.projection import own_index


def settled(residual: Tensor, psnr: float, t: int | Tensor) -> Tensor:
    """Where a block of 16×16 pixels has a PSNR of at least ``psnr`` dB after t iterations: bool
    ``[B, 1, H / 16, W / 16]``, for the residual ``[B, 3, H, W]`` of pictures in [0, 1]. Before the first iteration no
    block is settled, not even a mid-grey one."""
    errors = in_blocks(residual.detach().square()).mean((1, 3, 5)).unsqueeze(1)
    return errors < 10.0 ** (-psnr / 10.0) * own_index(t, 2)  # 0 in the first iteration, then 1


def sending(codes: Tensor) -> Tensor:
    """1 where not all bits of ``codes`` ``[B, bits, h, w]`` are +1, else 0: ``[B, 1, h, w]``."""
    return (codes < 0).any(dim=1, keepdim=True).to(codes.dtype)


def enlarged(blocks: Tensor, side: int) -> Tensor:
    """Each value of ``blocks`` ``[B, 1, h, w]`` ``side`` × ``side`` times: ``[B, 1, side · h, side · w]``."""
    return functional.pixel_shuffle(blocks.expand(-1, side**2, -1, -1), side)
