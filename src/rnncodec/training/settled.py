"""Blocks that are good enough already: their bits count more, so that they learn to cost next to nothing.

What a flat block costs hardly matters in the mean over all blocks, where the bits of the others are many. So a network
learns late, or never, that such a block needs no bits.
"""

from torch import Tensor
from torch.nn import functional

from rnncodec.network.codec import STRIDE, before_each

# The squared error below which a block is good enough: of pixels in [0, 1], 42 dB.
ENOUGH = (2 / 255) ** 2


def settled_weights(reconstructions: Tensor, images: Tensor, most: float) -> Tensor:
    """How many times the bits count of each block of 16×16 pixels, in each iteration: ``[T, B, 1, H / 16, W / 16]``.

    If e is the squared error of the block before the iteration, it is 1 where e is at least ENOUGH. Below it is
    (ENOUGH / e)², at most ``most``. ``reconstructions`` are ``[T, B, 3, H, W]``, ``images`` ``[B, 3, H, W]``.
    """
    before = before_each(reconstructions.detach())
    errors = functional.avg_pool2d((before - images).square().mean(dim=2), STRIDE)[:, :, None]
    return (ENOUGH / errors.clamp(min=1e-12)).square().clamp(1.0, most)
