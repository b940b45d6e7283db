"""Convolutional GRU (Toderici et al. 2017, section 3.1)."""

import torch
from torch import Tensor, nn

from rnncodec.network.cells.sums import summed, wide


class GRU(nn.Module):
    """``z, r = σ(W x + U h)``, ``h' = (1-z)⊙h + z⊙tanh(W x + U(r⊙h))``; the output is ``h'``.

    The contract of shapes and state is that of `rnncodec.network.cells`; the state is ``h``.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int, hidden_kernel: int) -> None:
        super().__init__()
        padding = hidden_kernel // 2
        self.input_gates = nn.Conv2d(in_channels, 3 * channels, kernel, stride, padding=kernel // 2)
        self.hidden_gates = nn.Conv2d(channels, 2 * channels, hidden_kernel, padding=padding, bias=False)
        self.hidden_candidate = nn.Conv2d(channels, channels, hidden_kernel, padding=padding, bias=False)

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        inputs = self.input_gates(x)
        if state is None:
            z, _, candidate = wide(inputs).chunk(3, dim=1)
            h = z.sigmoid() * candidate.tanh()
        else:
            gates, candidate = inputs.tensor_split([2 * state.shape[1]], dim=1)
            z, r = summed(gates, self.hidden_gates(state.to(x.dtype))).sigmoid_().chunk(2, dim=1)
            h = torch.lerp(state, summed(candidate, self.hidden_candidate((r * state).to(x.dtype))).tanh_(), z)
        return h.to(x.dtype), h
