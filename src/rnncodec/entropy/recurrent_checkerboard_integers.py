"""A recurrent checkerboard context model in integers. `rnncodec.entropy.checkerboard_integers` says how its sums
are kept exact."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rnncodec.entropy.checkerboard_integers import (
    TABLE,
    TOP_LEVEL,
    Predictor,
    Values,
    check_sums,
    check_table,
    check_tensors,
    convolve,
    divided,
    positions_first,
    whole,
    windows,
)
from rnncodec.entropy.config import RecurrentCheckerboardConfig
from rnncodec.entropy.interface import Codes, Groups
from rnncodec.entropy.order import STAGES, channel_groups, offsets
from rnncodec.fileformat import bitstream

AROUND = 9  # positions of a 3×3 convolution

# For each layer, the tensors that its sums are made of. The sums are divided by 2^shift of the layer.
LAYERS = (
    ("codes", "state", "memory_bias"),
    ("window", "past", "recall", "centre", "stage", "group"),
    ("hidden", "hidden_bias"),
    ("output", "output_bias"),
)


class RecurrentCheckerboardContext:
    """A `RecurrentCheckerboard` whose weights are whole numbers. ``tensors`` holds these, by name and shape. Each has a
    leading dimension for the iteration:

    ``codes [9 · bits, memory]``, ``state [9 · memory, memory]``, ``memory_bias [memory]``,
    ``window [offsets · bits, first]``, ``past [9 · bits, first]``, ``recall [memory, first]``,
    ``centre [groups, bits, first]``, ``stage [STAGES, first]``, ``group [groups, first]``, ``hidden [first, second]``,
    ``hidden_bias [second]``, ``output [bits, second]``, ``output_bias [bits]``, and ``shifts [4]``: the sums of layer i
    are divided by ``2^shifts[i]``. ``table [TABLE]``, which maps logits to ONE · P(bit = 1), is that of all iterations.

    Raises:
        ModelError: a tensor is missing or has another shape, or a sum could reach EXACT.
    """

    coder = bitstream.RECURRENT_CONTEXT

    def __init__(self, config: RecurrentCheckerboardConfig, tensors: Mapping[str, NDArray[np.integer]]) -> None:
        self.config = config
        self.tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        channels = channel_groups(config.bits, config.groups)
        check_tensors(self.tensors, self.shapes(config))
        check_table(self.tensors)
        table = self.tensors["table"].astype(np.int64)
        self._weights: list[dict[str, Values]] = []
        self._predictors: list[Predictor] = []
        for t in range(config.iterations):
            own = {name: tensor[t] for name, tensor in self.tensors.items() if name != "table"}
            check_sums(_largest(own))
            weights = divided(own, dict(zip(LAYERS, own["shifts"].tolist(), strict=True)))
            self._weights.append(weights)
            self._predictors.append(
                Predictor(
                    config.radius,
                    channels,
                    windows(weights["window"], config.radius),
                    weights["stage"],
                    weights["centre"],
                    weights["group"],
                    weights["hidden"],
                    weights["hidden_bias"],
                    weights["output"],
                    weights["output_bias"],
                    table,
                )
            )
        self._read: tuple[list[Codes], Values | None] = ([], None)  # the codes read last, and the memory after them

    @staticmethod
    def shapes(config: RecurrentCheckerboardConfig) -> dict[str, tuple[int, ...]]:
        """The shapes of the tensors of a context model with this config, by name."""
        bits, memory, (first, second) = config.bits, config.memory, config.hidden
        groups = len(channel_groups(bits, config.groups))
        shapes: dict[str, tuple[int, ...]] = {
            "codes": (AROUND * bits, memory),
            "state": (AROUND * memory, memory),
            "memory_bias": (memory,),
            "window": (len(offsets(config.radius)) * bits, first),
            "past": (AROUND * bits, first),
            "recall": (memory, first),
            "centre": (groups, bits, first),
            "stage": (STAGES, first),
            "group": (groups, first),
            "hidden": (first, second),
            "hidden_bias": (second,),
            "output": (bits, second),
            "output_bias": (bits,),
            "shifts": (len(LAYERS),),
        }
        return {name: (config.iterations, *shape) for name, shape in shapes.items()} | {"table": (TABLE,)}

    def groups(self, history: Sequence[Codes], height: int, width: int) -> Groups:
        """The groups of the next iteration's bits, given the codes ``[bits, height, width]`` of all earlier ones."""
        t = self._set(len(history))
        weights = self._weights[t]
        if history:
            features = convolve(positions_first(history[-1]), weights["past"])
            features += self._memory(history) @ weights["recall"]
        else:
            features = np.zeros((height * width, self.config.hidden[0]), np.float32)
        return self._predictors[t].groups(features, height, width)

    def _set(self, t: int) -> int:
        """Which of the weights serve iteration t."""
        return min(t, self.config.iterations - 1)

    def _memory(self, history: Sequence[Codes]) -> Values:
        """The memory ``[h · w, memory]`` after the codes of ``history``. It is kept, with the codes. So when a picture
        is coded layer by layer, each layer is read once."""
        read, memory = self._read
        if len(read) > len(history) or any(old is not new for old, new in zip(read, history, strict=False)):
            read, memory = [], None
        for t in range(len(read), len(history)):
            weights = self._weights[self._set(t)]
            sums = convolve(positions_first(history[t]), weights["codes"])
            if memory is not None:
                sums += convolve(memory.reshape(*history[t].shape[1:], -1), weights["state"])
            sums += weights["memory_bias"]
            memory = whole(sums, 0, TOP_LEVEL)
        assert memory is not None  # there are codes
        self._read = (list(history), memory)
        return memory


def _largest(tensors: Mapping[str, NDArray[np.integer]]) -> int:
    """The largest magnitude that a sum of an iteration could reach, for any input."""
    size = {name: np.abs(tensor.astype(np.int64)) for name, tensor in tensors.items()}
    memory = size["codes"].sum(0) + TOP_LEVEL * size["state"].sum(0) + size["memory_bias"]
    first = (
        size["window"].sum(0)
        + size["past"].sum(0)
        + TOP_LEVEL * size["recall"].sum(0)
        + (size["group"] + size["centre"].sum(1)).max(0)
        + size["stage"].max(0)
    )
    second = TOP_LEVEL * size["hidden"].sum(0) + size["hidden_bias"]
    logits = TOP_LEVEL * size["output"].sum(1) + size["output_bias"]
    return max(int(layer.max()) for layer in (memory, first, second, logits))
