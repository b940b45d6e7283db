"""The recurrent checkerboard context model: it remembers the codes of all earlier iterations, and each iteration has
weights of its own.

The order of the bits is that of `rnncodec.entropy.checkerboard`. What differs is the condition on earlier
iterations. A convolutional network with a state, the *memory*, reads the codes of one iteration after the other. So a
bit depends on all codes of earlier iterations, over a distance that grows by two positions with each iteration.

Where a codec has projections of its own in each iteration, a channel means something else in each of them. So a context
model of such a codec needs weights of its own in each iteration too. They cost no operations.
"""

import math

import torch
from torch import Tensor, nn

from rnncodec.entropy.checkerboard import activate, neighbours, stage_grid, surroundings, visible
from rnncodec.entropy.config import RecurrentCheckerboardConfig
from rnncodec.entropy.order import STAGES, channel_groups, offsets

REACH = 1  # positions around a position that a step of the memory, and the part for the last iteration, see


class RecurrentCheckerboard(nn.Module):
    """Maps codes ``[T, B, bits, h, w]`` in {-1, +1} to the logits of P(bit = 1), of the same shape. Each logit depends
    only on bits that are coded earlier. Iterations after the first ``config.iterations`` have the weights of the last
    of these. With ``start`` only the logits from this iteration on are computed, ``[T - start, B, bits, h, w]``; the
    first is 0.

    The memory before iteration t, of which it has ``config.memory`` channels, is m_0 = 0,

        m_{t+1} = clip(state_t ∗ m_t + codes_t ∗ b_t + memory_bias_t)

    with 3×3 convolutions. The first hidden layer of a bit is the sum of four linear maps, clipped: of its neighbours of
    earlier stages in this iteration (``window``), of the positions around it in the iteration before (``past``), of the
    memory at its position (``recall``), and of its own bits of earlier channel groups (``centre``). A second layer
    (``hidden``) and a linear map (``output``) follow. All weights have a leading dimension for the iteration.
    """

    visible: Tensor

    def __init__(self, config: RecurrentCheckerboardConfig) -> None:
        super().__init__()
        self.config = config
        self.channels = channel_groups(config.bits, config.groups)
        iterations, bits, memory, (first, second) = config.iterations, config.bits, config.memory, config.hidden
        around = (2 * REACH + 1) ** 2
        self.codes = weights(iterations, around * bits, memory)
        self.state = weights(iterations, around * memory, memory)
        self.memory_bias = nn.Parameter(torch.zeros(iterations, memory))
        self.window = weights(iterations, len(offsets(config.radius)) * bits, first)
        self.past = weights(iterations, around * bits, first)
        self.recall = weights(iterations, memory, first)
        self.centre = nn.Parameter(0.05 * torch.randn(iterations, len(self.channels), bits, first))
        self.stage = nn.Parameter(0.1 * torch.randn(iterations, STAGES, first))
        self.group = nn.Parameter(0.1 * torch.randn(iterations, len(self.channels), first))
        self.hidden = weights(iterations, first, second)
        self.hidden_bias = nn.Parameter(torch.zeros(iterations, second))
        self.output = nn.Parameter(0.05 * torch.randn(iterations, bits, second))
        self.output_bias = nn.Parameter(torch.zeros(iterations, bits))
        self.register_buffer("visible", visible(self.channels, bits), persistent=False)

    def forward(self, codes: Tensor, start: int = 0) -> Tensor:
        height, width = codes.shape[-2:]
        own_iterations = torch.arange(start, len(codes), device=codes.device).clamp(max=self.config.iterations - 1)
        codes = codes.to(self.output.dtype)
        stage = stage_grid(height, width, codes.device)
        around = surroundings(codes, REACH)  # [T, B, N, 9 · bits]
        before = torch.cat([torch.zeros_like(around[:1]), around[:-1]])
        memories = self.memories(around, height, width)[start:]
        codes = codes[start:]
        features = (
            linear(neighbours(codes, stage, self.config.radius), self.window[own_iterations])
            + linear(before[start:], self.past[own_iterations])
            + linear(memories, self.recall[own_iterations])
            + self.stage[own_iterations][:, None, stage.flatten()]
        )  # [T - start, B, N, first]
        own = codes.flatten(3).transpose(2, 3)  # [T - start, B, N, bits]
        centre, groups = self.centre[own_iterations], self.group[own_iterations]
        hidden_map, hidden_bias = self.hidden[own_iterations], self.hidden_bias[own_iterations][:, None, None]
        output_map, output_bias = self.output[own_iterations], self.output_bias[own_iterations][:, None, None]
        logits = []
        for group, channels in enumerate(self.channels):
            seen = linear(own, centre[:, group] * self.visible[group])
            seen = seen + groups[:, None, None, group]
            hidden = activate(linear(activate(features + seen), hidden_map) + hidden_bias)
            output = linear(hidden, output_map[:, channels].transpose(1, 2))
            logits.append(output + output_bias[..., channels])
        return torch.cat(logits, dim=3).transpose(2, 3).reshape(codes.shape)

    def memories(self, around: Tensor, height: int, width: int) -> Tensor:
        """The memory before each iteration, ``[T, B, N, memory]``, from the codes around each position."""
        memory = around.new_zeros(*around.shape[1:3], self.config.memory)
        found = [memory]
        for i, read in enumerate(around[:-1]):
            t = min(i, self.config.iterations - 1)
            sums = read @ self.codes[t] + self.memory_bias[t]
            if i > 0:
                picture = memory.transpose(1, 2).unflatten(2, (height, width))  # [B, memory, h, w]
                sums = sums + surroundings(picture[None], REACH)[0] @ self.state[t]
            memory = activate(sums)
            found.append(memory)
        return torch.stack(found)


def weights(iterations: int, inputs: int, outputs: int) -> nn.Parameter:
    """Random weights of linear maps, ``[iterations, inputs, outputs]``; their range is that of nn.Linear."""
    return nn.Parameter((2 * torch.rand(iterations, inputs, outputs) - 1) / math.sqrt(inputs))


def linear(x: Tensor, maps: Tensor) -> Tensor:
    """``[T, B, N, inputs]`` by ``maps`` ``[T, inputs, outputs]``, each iteration by its own: ``[T, B, N, outputs]``."""
    return (x.flatten(1, 2) @ maps).unflatten(1, x.shape[1:3])
