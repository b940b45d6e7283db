"""The cost of codes under a context model: their cross-entropy, in bits."""

import math

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from rnncodec.entropy.networks import Network


def bits_per_bit(context: Network, codes: Tensor, start: int = 0) -> Tensor:
    """The cross-entropy of each iteration from ``start`` on in bits per raw bit, ``[T - start]``, on average over codes
    ``[T, B, bits, h, w]`` in {-1, +1}.

    It has gradients with respect to the context model and, if the codes require them, to the codes. A code enters
    twice: as the bit that is coded, and in the condition of later bits.
    """
    logits = context(codes, start).float()
    nats = binary_cross_entropy_with_logits(logits, (codes[start:].float() + 1.0) / 2.0, reduction="none")
    return nats.mean(dim=(1, 2, 3, 4)) / math.log(2)
