"""The network with fewer passes over memory, which take most of its time on a CPU. It has the same weights in another
order, and computes the same but for rounding:

- where a GRU's convolutions of x and h have the same kernel and no stride, ``W x + U h`` is one convolution of both;
- the encoder's first convolution takes the pixels as they are: a 3×3 convolution of pixels that are folded into
  channels is one with a larger kernel of the pixels themselves.
"""

import torch
from torch import Tensor, nn

from rnncodec.network.cells.gru import GRU
from rnncodec.network.cells.sums import wide
from rnncodec.network.codec import FoldedConv, IterativeCodec


def take_fewer_passes(codec: IterativeCodec) -> None:
    """Exchange parts of ``codec``. Its weights have no gradients then."""
    if isinstance(codec.encoder.conv, FoldedConv) and codec.encoder.conv.fold > 1:
        codec.encoder.conv = unfolded(codec.encoder.conv)
    for cells in (codec.encoder.cells, codec.decoder.cells):
        for index, cell in enumerate(cells):
            if type(cell) is GRU and alike(cell.input_gates, cell.hidden_gates):
                cells[index] = JoinedGRU(cell)


def alike(first: nn.Conv2d, second: nn.Conv2d) -> bool:
    """Whether both convolutions look at the same neighbours of each position."""
    return (first.kernel_size, first.stride) == (second.kernel_size, second.stride)


class JoinedGRU(nn.Module):
    """A `GRU` whose ``W x + U h`` is one convolution of x and h."""

    def __init__(self, cell: GRU) -> None:
        super().__init__()
        self.cell = cell
        w, b = cell.input_gates.weight.detach(), cell.input_gates.bias
        assert b is not None
        channels = cell.hidden_candidate.out_channels
        self.gates = convolution(torch.cat([w[: 2 * channels], cell.hidden_gates.weight], 1), b[: 2 * channels])
        self.candidate = convolution(torch.cat([w[2 * channels :], cell.hidden_candidate.weight], 1), b[2 * channels :])

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        if state is None:
            return self.cell(x, None)
        z, r = wide(self.gates(torch.cat([x, state.to(x.dtype)], 1))).sigmoid_().chunk(2, dim=1)
        candidate = wide(self.candidate(torch.cat([x, (r * state).to(x.dtype)], 1))).tanh_()
        h = torch.lerp(state, candidate, z)
        return h.to(x.dtype), h


def unfolded(conv: FoldedConv) -> nn.Conv2d:
    """The same convolution of pixels that are not folded."""
    f, k = conv.fold, conv.kernel_size[0]
    weight = conv.weight.detach().unflatten(1, (3, f, f))  # [C, 3, f, f, k, k]
    weight = weight.permute(0, 1, 4, 2, 5, 3).reshape(-1, 3, k * f, k * f)
    assert conv.bias is not None
    return convolution(weight, conv.bias, stride=conv.stride[0] * f, padding=int(conv.padding[0]) * f)


def convolution(weight: Tensor, bias: Tensor, stride: int = 1, padding: int | None = None) -> nn.Conv2d:
    """A convolution with these values. By default its output is as large as its input."""
    channels, inputs, kernel, _ = weight.shape
    padding = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(inputs, channels, kernel, stride, padding, device=weight.device, dtype=weight.dtype)
    conv.load_state_dict({"weight": weight, "bias": bias})
    return conv.to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
