"""Residual GRU (Toderici et al. 2017, equations 5 to 8): a GRU with a linear path around its gates."""

import torch
from torch import Tensor, nn

from rnncodec.network.cells.sums import summed, wide

ALPHA = 0.1  # α_h and α_x of the paper: the weight of the linear paths of the state and of the input


class ResidualGRU(nn.Module):
    """``z, r = σ(W x + U h)``, ``h' = (1-z)⊙h + z⊙tanh(W x + U(r⊙h)) + α W_h h``; the output is ``h' + α W_x x``.

    The contract of shapes and state is that of `rnncodec.network.cells`; the state is ``h'``.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int, hidden_kernel: int) -> None:
        super().__init__()
        padding = hidden_kernel // 2
        self.input_gates = nn.Conv2d(in_channels, 4 * channels, kernel, stride, padding=kernel // 2)
        self.hidden_gates = nn.Conv2d(channels, 3 * channels, hidden_kernel, padding=padding, bias=False)
        self.hidden_candidate = nn.Conv2d(channels, channels, hidden_kernel, padding=padding, bias=False)

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        z, r, candidate, input_path = self.input_gates(x).chunk(4, dim=1)
        if state is None:
            h = wide(z).sigmoid() * wide(candidate).tanh()
        else:
            hidden_z, hidden_r, hidden_path = self.hidden_gates(state.to(x.dtype)).chunk(3, dim=1)
            z, r = summed(z, hidden_z).sigmoid_(), summed(r, hidden_r).sigmoid_()
            candidate = summed(candidate, self.hidden_candidate((r * state).to(x.dtype))).tanh_()
            h = torch.lerp(state, candidate, z) + ALPHA * hidden_path
        return (h + ALPHA * input_path).to(x.dtype), h
