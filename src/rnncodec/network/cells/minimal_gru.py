"""Minimal gated unit (Zhou, Wu, Zhang, Zhou 2016, arXiv 1603.09420), convolutional: a GRU with a single gate."""

import torch
from torch import Tensor, nn

from rnncodec.network.cells.sums import summed, wide


class MinimalGRU(nn.Module):
    """``f = σ(W x + U h)``, ``h' = (1-f)⊙h + f⊙tanh(W x + U(f⊙h))``; the output is ``h'``. One
    gate ``f`` does the work of the GRU's two, at two thirds of its operations.

    The contract of shapes and state is that of `rnncodec.network.cells`; the state is ``h``.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int, hidden_kernel: int) -> None:
        super().__init__()
        padding = hidden_kernel // 2
        self.input_gates = nn.Conv2d(in_channels, 2 * channels, kernel, stride, padding=kernel // 2)
        self.hidden_gates = nn.Conv2d(channels, channels, hidden_kernel, padding=padding, bias=False)
        self.hidden_candidate = nn.Conv2d(channels, channels, hidden_kernel, padding=padding, bias=False)

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        f, candidate = self.input_gates(x).chunk(2, dim=1)
        if state is None:
            h = wide(f).sigmoid() * wide(candidate).tanh()
        else:
            f = summed(f, self.hidden_gates(state.to(x.dtype))).sigmoid_()
            h = torch.lerp(state, summed(candidate, self.hidden_candidate((f * state).to(x.dtype))).tanh_(), f)
        return h.to(x.dtype), h
