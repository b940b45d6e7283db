"""Convolutional LSTM (Toderici et al. 2017, section 3.1)."""

import torch
from torch import Tensor, nn

from rnncodec.network.cells.sums import summed, wide


class LSTM(nn.Module):
    """``f, i, o = σ(W x + U h)``, ``j = tanh(W x + U h)``, ``c' = f⊙c + i⊙j``, ``h' = o⊙tanh(c')``; the
    output is ``h'``.

    The contract of shapes and state is that of `rnncodec.network.cells`; the state is ``(h, c)``.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int, hidden_kernel: int) -> None:
        super().__init__()
        self.input_gates = nn.Conv2d(in_channels, 4 * channels, kernel, stride, padding=kernel // 2)
        self.hidden_gates = nn.Conv2d(channels, 4 * channels, hidden_kernel, padding=hidden_kernel // 2, bias=False)
        with torch.no_grad():  # start by remembering (Jozefowicz et al. 2015)
            self.input_gates.bias[:channels] = 1.0  # type: ignore[index]

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        inputs = self.input_gates(x)
        if state is None:
            _, i, o, j = wide(inputs).chunk(4, dim=1)
            c = i.sigmoid() * j.tanh()
        else:
            h, c = state
            f, i, o, j = summed(inputs, self.hidden_gates(h)).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * j.tanh()
        h = (o.sigmoid() * c.tanh()).to(x.dtype)
        return h, (h, c)
