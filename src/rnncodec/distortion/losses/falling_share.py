"""The weight of one of two terms of a loss, which falls from one iteration to the next."""

import torch
from torch import Tensor

from rnncodec.errors import ConfigurationError
from rnncodec.network.options import is_real


class FallingShare:
    """``a_t = share · fall^(t-1)`` for iteration t.

    Raises:
        ConfigurationError: ``share`` or ``fall`` is not from 0 to 1.
    """

    def __init__(self, share: float, fall: float) -> None:
        check_share("share", share)
        check_share("fall", fall)
        self.share, self.fall = share, fall

    def __call__(self, losses: Tensor, start: int = 0) -> Tensor:
        """The weights of iterations start + 1 to start + T, for ``losses`` ``[T]``."""
        return self.share * self.fall ** torch.arange(start, start + len(losses), device=losses.device)


def check_share(option: str, value: object) -> None:
    """Raise a ConfigurationError if the ``option`` of a loss is not from 0 to 1."""
    if not is_real(value, 0, 1):
        raise ConfigurationError(f"loss.{option} must be from 0 to 1, not {value}")
