"""Associative LSTM (Danihelka et al. 2016, arXiv 1602.03032; Toderici et al. 2017, section 3.1).

The memory is holographic: it keeps several copies of one complex vector, each addressed by its own permutation of a
complex key. A read averages over the copies, so that the interference between stored items cancels.
"""

import random

import torch
from torch import Tensor, nn

from rnncodec.errors import ConfigurationError
from rnncodec.network.cells.sums import summed, wide

MOST_COPIES = 64


def bound(real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
    """``z / max(1, |z|)``: a complex number pulled back into the unit disc."""
    scale = (real.square() + imaginary.square()).clamp_min(1.0).rsqrt()
    return real * scale, imaginary * scale


def multiply(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The product of two complex tensors given as (real, imaginary)."""
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


class AssociativeLSTM(nn.Module):
    """For each copy k: ``c_k' = f⊙c_k + (P_k r_i)⊙i⊙j``; ``h' = o⊙bound(1/N Σ_k (P_k r_o)⊙c_k')``.

    The contract of shapes and state is that of `rnncodec.network.cells`, with ``channels`` even: the output is
    ``(Re h', Im h')``. The state is ``(output, c)``, ``c`` a complex pair of ``[B, copies, channels / 2, h, w]``.

    Args:
        copies: N, how many copies the memory keeps. The interference falls as N grows, the time of a step rises.

    Raises:
        ConfigurationError: ``copies`` is not a whole number from 1 to MOST_COPIES.
    """

    permutations: Tensor

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int, hidden_kernel: int, copies: int = 4
    ) -> None:
        super().__init__()
        if type(copies) is not int or not 1 <= copies <= MOST_COPIES:
            raise ConfigurationError(f"copies must be a whole number from 1 to {MOST_COPIES}, not {copies}")
        half = channels // 2  # complex channels
        # Three real gates f, i, o and three complex vectors j, r_i, r_o.
        self.input_gates = nn.Conv2d(in_channels, 9 * half, kernel, stride, padding=kernel // 2)
        self.hidden_gates = nn.Conv2d(channels, 9 * half, hidden_kernel, padding=hidden_kernel // 2, bias=False)
        with torch.no_grad():  # start by remembering, as in the LSTM
            self.input_gates.bias[:half] = 1.0  # type: ignore[index]
        # Fixed by the seed, hence no part of the weights; Python's generator gives the same order everywhere.
        orders = [random.Random(copy).sample(range(half), half) for copy in range(copies)]
        self.register_buffer("permutations", torch.tensor(orders), persistent=False)

    def permuted(self, key: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """``P_k key`` for every copy k: ``[B, half, h, w] -> [B, copies, half, h, w]``, real and imaginary part."""
        return key[0][:, self.permutations], key[1][:, self.permutations]

    def forward(
        self, x: Tensor, state: tuple[Tensor, tuple[Tensor, Tensor]] | None
    ) -> tuple[Tensor, tuple[Tensor, tuple[Tensor, Tensor]]]:
        inputs = self.input_gates(x)
        gates = wide(inputs) if state is None else summed(inputs, self.hidden_gates(state[0]))
        f, i, o, *pairs = gates.chunk(9, dim=1)
        j, input_key, output_key = (bound(*pairs[at : at + 2]) for at in (0, 2, 4))
        i = i.sigmoid()
        written = multiply(self.permuted(input_key), ((i * j[0]).unsqueeze(1), (i * j[1]).unsqueeze(1)))
        if state is not None:
            forget, memory = f.sigmoid().unsqueeze(1), state[1]
            written = forget * memory[0] + written[0], forget * memory[1] + written[1]
        read = multiply(self.permuted(output_key), written)
        real, imaginary = bound(read[0].mean(dim=1), read[1].mean(dim=1))
        o = o.sigmoid()
        output = torch.cat([o * real, o * imaginary], dim=1).to(x.dtype)
        return output, (output, written)
