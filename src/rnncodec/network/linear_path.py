"""The linear path from the codes to the pixels."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnncodec.network.cells.sums import wide
from rnncodec.network.projection import Projection


class LinearPath(nn.Module):
    """Codes to pixels, each position to its own block of ``side`` × ``side`` pixels, without overlap.

    In iteration t a position with the codes b gets the block

        W_t a_t + c_t,  a_t = b ⊙ softplus(V_t f)

    where f are features of the decoder at this position. So each bit has a pattern of pixels of its own in each
    iteration, a column of W_t, and the features say how strong it is: weak where the picture is smooth. ``patterns``
    turns the amplitudes a_t into blocks, as channels ``[B, 3 · side², h, w]``; depth-to-space makes pixels of them.
    """

    def __init__(self, bits: int, features: int, side: int, iterations: int) -> None:
        super().__init__()
        self.strength = Projection(features, bits, iterations)
        self.patterns = Projection(bits, 3 * side**2, iterations)
        if not self.patterns.weight.is_meta:  # torch would import its compiler for it, which takes seconds
            nn.init.normal_(self.patterns.weight, std=0.01)  # the rest of the decoder learns first

    def forward(self, codes: Tensor, features: Tensor, t: int | Tensor) -> Tensor:
        """The amplitudes a_t ``[B, bits, h, w]`` of the patterns, in float32 at least, from ``[B, bits, h, w]`` and
        ``[B, features, h, w]``, in iteration t; the first is 0."""
        return codes * functional.softplus(wide(self.strength(features, t)))

    def sum_of_blocks(self, amplitudes: list[Tensor], weights: list[Tensor], sent: list[Tensor]) -> Tensor:
        """The blocks ``Σ_t w_t (W_t a_t + c_t)`` of the first iterations, each with its ``amplitudes`` and its weight
        ``[]``. They are one convolution of all amplitudes together, which writes the blocks only once. With ``sent``
        ``[B, 1, h, w]`` of each iteration they are ``Σ_t w_t (W_t a_t + c_t sent_t)``."""
        patterns = [self.patterns.of_iteration(t) for t in range(len(amplitudes))]
        kernels = [weight * own for weight, (own, _) in zip(weights, patterns, strict=True)]
        biases = [weight * own for weight, (_, own) in zip(weights, patterns, strict=True)]
        if not sent:
            return functional.conv2d(torch.cat(amplitudes, 1), torch.cat(kernels, 1), torch.stack(biases).sum(0))
        columns = [bias[:, None, None, None] for bias in biases]
        return functional.conv2d(torch.cat(amplitudes + sent, 1), torch.cat(kernels + columns, 1))
