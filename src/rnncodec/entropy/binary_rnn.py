"""BinaryRNN, the paper's context model (Toderici et al. 2017, section 4).

It measures how many bits the paper's entropy coding needs. It codes no files: it computes in floating point, so that
its probabilities differ between machines, and a file would decode only on the machine that wrote it.
"""

import torch
from torch import Tensor, nn

from rnncodec.entropy.config import BinaryRNNConfig
from rnncodec.network.cells import LSTM

REACH = 3  # rows and columns that the 7×7 convolution sees around a position


class MaskedConv2d(nn.Conv2d):
    """A convolution over the positions before a position in raster order and, if ``itself``, over the position too:
    masks A and B of van den Oord et al., "Pixel Recurrent Neural Networks" (2016)."""

    mask: Tensor

    def __init__(self, in_channels: int, channels: int, kernel: tuple[int, int], itself: bool) -> None:
        rows, columns = kernel
        super().__init__(in_channels, channels, kernel, padding=(rows // 2, columns // 2))
        order = torch.arange(rows * columns).view(kernel)
        self.register_buffer("mask", order < rows * columns // 2 + itself, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class LineLSTM(LSTM):
    """An LSTM over the rows ``[B, C, 1, W]`` of a picture, from top to bottom. Its convolutions are 1×3; that of the
    input is masked."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(in_channels, channels, kernel=1, stride=1, hidden_kernel=1)
        bias = self.input_gates.bias  # starts as in LSTM
        self.input_gates = MaskedConv2d(in_channels, 4 * channels, (1, 3), itself=True)
        self.input_gates.bias = bias
        self.hidden_gates = nn.Conv2d(channels, 4 * channels, (1, 3), padding=(0, 1), bias=False)


class BinaryRNN(nn.Module):
    """Maps codes ``[T, B, bits, h, w]`` in {-1, +1} to the logits of P(bit = 1), of the same shape. Each logit depends
    on the positions before its own in raster order, and on all positions of earlier iterations. With ``start`` only the
    logits from this iteration on are computed, ``[T - start, B, bits, h, w]``; the first is 0.

    A masked 7×7 convolution reads the codes of this iteration. An LSTM of 1×1 convolutions summarises the codes of
    earlier iterations. The line LSTM reads both, and two 1×1 convolutions give the logits of all bits of a position.
    """

    def __init__(self, config: BinaryRNNConfig) -> None:
        super().__init__()
        self.config = config
        maps = config.maps
        self.neighbours = nn.Sequential(
            MaskedConv2d(config.bits, maps, (2 * REACH + 1, 2 * REACH + 1), itself=False), nn.Tanh()
        )
        self.iterations = LSTM(config.bits, maps, kernel=1, stride=1, hidden_kernel=1)
        self.earlier = nn.Sequential(nn.Conv2d(maps, maps, kernel_size=3, padding=1), nn.Tanh())
        self.line = LineLSTM(2 * maps, maps)
        self.output = nn.Sequential(nn.Conv2d(maps, maps, kernel_size=1), nn.Tanh(), nn.Conv2d(maps, config.bits, 1))

    def forward(self, codes: Tensor, start: int = 0) -> Tensor:
        codes = codes.to(self.line.hidden_gates.weight.dtype)
        earlier = self.summaries(codes)[start:]
        codes = codes[start:]
        features = torch.cat([self.neighbours(codes.flatten(0, 1)), self.earlier(earlier.flatten(0, 1))], dim=1)
        rows, state = [], None
        for row in features.split(1, dim=2):
            row, state = self.line(row, state)
            rows.append(row)
        return self.output(torch.cat(rows, dim=2)).unflatten(0, codes.shape[:2])

    def summaries(self, codes: Tensor) -> Tensor:
        """The state of the LSTM over iterations before each iteration of ``codes``: ``[T, B, bits, h, w]`` to
        ``[T, B, maps, h, w]``."""
        _, batch, _, height, width = codes.shape
        found, state = [codes.new_zeros(batch, self.config.maps, height, width)], None
        for each in codes[:-1]:
            summary, state = self.iterations(each, state)
            found.append(summary)
        return torch.stack(found)
