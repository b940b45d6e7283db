"""A mean over all processes of a training."""

from torch import Tensor, distributed


def mean_over_ranks(values: Tensor) -> Tensor:
    """The mean of ``values`` over all ranks, the same on each of them."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(values)
        return values / distributed.get_world_size()
    return values
