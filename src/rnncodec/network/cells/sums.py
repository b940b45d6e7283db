"""The sums of a cell in float32, where its convolutions run in bfloat16: a state that is rounded to bfloat16 in every
iteration drifts, and pictures would depend on the precision of the machine that decodes them."""

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """``x`` in float32, or in its own precision if that is higher."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def summed(inputs: Tensor, hidden: Tensor) -> Tensor:
    """``inputs + hidden``, two outputs of convolutions, in the precision of `wide`. The sum is a tensor of its own, so
    that the caller may change it in place."""
    return inputs.to(torch.promote_types(inputs.dtype, torch.float32), copy=True).add_(hidden)
