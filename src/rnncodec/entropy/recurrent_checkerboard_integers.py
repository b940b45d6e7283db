"""A recurrent checkerboard context model in integers. `rnncodec.entropy.checkerboard_integers` says how its sums
are kept exact."""

from collections.abc import Mapping

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

    def start(self) -> "RecurrentPicture":
        return RecurrentPicture(self)

    def weights(self, t: int) -> tuple[dict[str, Values], Predictor]:
        """The weights and the predictor of iteration t; the first is 0."""
        own = min(t, self.config.iterations - 1)
        return self._weights[own], self._predictors[own]


class RecurrentPicture:
    """The context of one picture: its last codes, and the memory ``[h · w, memory]`` of all codes before the next
    layer's."""

    def __init__(self, model: RecurrentCheckerboardContext) -> None:
        self._model = model
        self._layers = 0  # that are remembered
        self._last: Codes | None = None
        self._memory: Values | None = None

    def groups(self, height: int, width: int) -> Groups:
        weights, predictor = self._model.weights(self._layers)
        features = np.zeros((height * width, self._model.config.hidden[0]), np.float32)
        if self._last is not None and self._memory is not None:
            features += convolve(positions_first(self._last), weights["past"])
            features += self._memory @ weights["recall"]
        return predictor.groups(features, height, width)

    def remember(self, codes: Codes) -> None:
        weights, _ = self._model.weights(self._layers)
        sums = convolve(positions_first(codes), weights["codes"])
        if self._memory is not None:
            sums += convolve(self._memory.reshape(*codes.shape[1:], -1), weights["state"])
        sums += weights["memory_bias"]
        self._memory = whole(sums, 0, TOP_LEVEL)
        self._last = codes
        self._layers += 1


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
