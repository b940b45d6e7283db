"""BinaryRNN, the paper's context model (Toderici et al. 2017, section 4), and its use in coding files.

It computes in floating point, so that its probabilities differ between machines. It is for research: its files decode
only on the machine that wrote them.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnncodec.entropy.config import MOST_UNITS, ContextConfig
from rnncodec.entropy.interface import ONE, Codes, Groups
from rnncodec.fileformat import bitstream
from rnncodec.network.cells import LSTM

State = tuple[Tensor, Tensor]

REACH = 3  # rows and columns that the 7×7 convolution sees around a position


@dataclasses.dataclass(frozen=True)
class BinaryRNNConfig(ContextConfig):
    """``maps`` is the number of channels of every layer but the last; 64 in the paper."""

    name: ClassVar[str] = "binary_rnn"
    maps: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_whole("maps", 1, MOST_UNITS)


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
        earlier = torch.stack(list(self.summaries(codes))[start:-1])
        codes = codes[start:]
        features = torch.cat([self.neighbours(codes.flatten(0, 1)), self.earlier(earlier.flatten(0, 1))], dim=1)
        rows, state = [], None
        for row in features.split(1, dim=2):
            row, state = self.line(row, state)
            rows.append(row)
        return self.output(torch.cat(rows, dim=2)).unflatten(0, codes.shape[:2])

    def summaries(self, codes: Tensor) -> Iterator[Tensor]:
        """The state ``[B, maps, h, w]`` of the LSTM over iterations before each iteration of ``codes``
        ``[T, B, bits, h, w]``, and after the last: T + 1 of them."""
        _, batch, _, height, width = codes.shape
        summary, state = codes.new_zeros(batch, self.config.maps, height, width), None
        for each in codes:
            yield summary
            summary, state = self.iterations(each, state)
        yield summary

    def row(self, codes: Tensor, earlier: Tensor, above: State | None) -> tuple[Tensor, State]:
        """The logits ``[B, bits, 1, w]`` of the last row of ``codes`` ``[B, bits, ≤ REACH + 1, w]``, and the state of
        the line LSTM after it. ``above`` is the state after the row above; ``earlier`` are the features of this row
        from earlier iterations."""
        features = torch.cat([self.neighbours(codes)[:, :, -1:], earlier], dim=1)
        hidden, state = self.line(features, above)
        return self.output(hidden), state


class BinaryRNNContext:
    """A `BinaryRNN` that codes files. Each position is a group, in raster order. For each group the network computes
    the whole row again, from the codes known so far. The encoder computes exactly what the decoder computes, so that on
    one machine, with the same number of threads, both get the same floats.

    Raises:
        RuntimeError: ``tensors`` are not those of a network of this config.
    """

    coder = bitstream.FLOAT_CONTEXT

    def __init__(self, config: BinaryRNNConfig, tensors: Mapping[str, NDArray[np.generic]]) -> None:
        self.config = config
        self.tensors = tensors
        self.network = BinaryRNN(config).eval()
        self.network.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})

    @staticmethod
    def shapes(config: BinaryRNNConfig) -> dict[str, tuple[int, ...]]:
        """The shapes of the tensors of a context model with this config, by name."""
        with torch.device("meta"):  # takes no memory
            return {name: tuple(value.shape) for name, value in BinaryRNN(config).state_dict().items()}

    @torch.inference_mode()
    def groups(self, history: Sequence[Codes], height: int, width: int) -> Groups:
        """The groups of the next iteration's bits, given the codes ``[bits, height, width]`` of all earlier ones."""
        before = torch.zeros(len(history), 1, self.config.bits, height, width)  # always in one memory layout
        for t, each in enumerate(history):
            before[t, 0] = torch.from_numpy(each)
        *_, summary = self.network.summaries(before)
        earlier = self.network.earlier(summary)
        codes = torch.zeros(1, self.config.bits, height, width)
        channels = np.arange(self.config.bits) * (height * width)
        above = state = None
        for y, x in product(range(height), range(width)):
            if x == 0:
                above = state  # the state after the last column is that of the whole row
            rows = codes[:, :, max(0, y - REACH) : y + 1]
            logits, state = self.network.row(rows, earlier[:, :, y : y + 1], above)
            frequencies = (ONE * logits[0, :, 0, x].sigmoid()).round().long().clamp(1, ONE - 1)
            bits = yield channels + y * width + x, frequencies.numpy()
            codes[0, :, y, x] = torch.from_numpy(bits) * 2.0 - 1.0


def freeze(network: BinaryRNN) -> BinaryRNNContext:
    """The context that codes files, from a trained network."""
    tensors = {name: value.float().cpu().numpy().copy() for name, value in network.state_dict().items()}
    return BinaryRNNContext(network.config, tensors)


def thaw(context: BinaryRNNContext) -> BinaryRNN:
    """The network of a context."""
    return context.network
