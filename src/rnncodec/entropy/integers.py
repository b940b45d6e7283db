"""A checkerboard context model in integers: the same probabilities on every machine.

All values are whole numbers, stored as float32. float32 represents every whole number up to 2^24. A weights file with
which any sum could reach 2^24 is refused when it is loaded. Below that, all products and partial sums are exact, in any
order, with any instructions and any number of threads. Scaling by powers of two and rounding down are exact as well.
The model always runs in numpy on the CPU, also if the codec runs on a GPU: numpy has no matrix products of lower
precision, and no convolutions that choose among algorithms.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rnncodec import bitstream
from rnncodec.entropy.config import OLDEST, CheckerboardConfig
from rnncodec.entropy.contract import ONE, Codes, Groups, Indices
from rnncodec.entropy.order import STAGES, channel_groups, earlier, offsets, stages
from rnncodec.errors import ModelError

EXACT = 2**24  # float32 represents all whole numbers up to here
TOP_LEVEL = 1023  # activations are from 0 to this
TABLE = 1024  # entries, from logits to frequencies

# For each layer, the tensors that its sums are made of. The sums are divided by 2^shift of the layer.
LAYERS = (
    ("window", "past", "centre", "iteration", "stage", "group"),
    ("hidden", "hidden_bias"),
    ("output", "output_bias"),
)

Values = NDArray[np.float32]


class IntegerContext:
    """A `Checkerboard` whose weights are whole numbers. ``tensors`` holds these, by name and shape:

    ``window [offsets · bits, first]``, ``past [· , first]``, ``centre [groups, bits, first]``,
    ``iteration [iterations, first]``, ``stage [STAGES, first]``, ``group [groups, first]``, ``hidden [first, second]``,
    ``hidden_bias [second]``, ``output [bits, second]``, ``output_bias [iterations, bits]``, ``table [TABLE]``, which
    maps logits to ONE · P(bit = 1), and ``shifts [3]``: the sums of layer i are divided by ``2^shifts[i]``.

    Raises:
        ModelError: a tensor is missing or has another shape, or a sum could reach EXACT.
    """

    coder = bitstream.CONTEXT

    def __init__(self, config: CheckerboardConfig, tensors: Mapping[str, NDArray[np.integer]]) -> None:
        self.config = config
        self.tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        self.channels = channel_groups(config.bits, config.groups)
        first, second = config.hidden
        groups, past = len(self.channels), 2 * (2 * config.past_radius + 1) ** 2 + 1
        shapes: dict[str, tuple[int, ...]] = {
            "window": (len(offsets(config.radius)) * config.bits, first),
            "past": (past * config.bits, first),
            "centre": (groups, config.bits, first),
            "iteration": (config.iterations, first),
            "stage": (STAGES, first),
            "group": (groups, first),
            "hidden": (first, second),
            "hidden_bias": (second,),
            "output": (config.bits, second),
            "output_bias": (config.iterations, config.bits),
            "table": (TABLE,),
            "shifts": (3,),
        }
        found = {name: tensor.shape for name, tensor in self.tensors.items()}
        if found != shapes or any(tensor.dtype.kind not in "iu" for tensor in self.tensors.values()):
            raise ModelError(f"the context model needs whole numbers of the shapes {shapes}, not {found}")
        self._check()
        weights = {name: tensor.astype(np.float32) for name, tensor in self.tensors.items()}
        for layer, shift in zip(LAYERS, self.tensors["shifts"].tolist(), strict=True):
            for name in layer:  # dividing the weights by a power of two divides the sums exactly
                weights[name] = np.ldexp(weights[name], -shift)
        window = weights["window"].reshape(-1, config.bits, first)
        self._windows = [window[seen].reshape(-1, first) for seen in earlier(config.radius)]
        self._past = np.split(weights["past"], [(past // 2) * config.bits, (past - 1) * config.bits])
        self._centre = weights["centre"]
        self._iteration, self._stage, self._group = weights["iteration"], weights["stage"], weights["group"]
        self._hidden, self._hidden_bias = weights["hidden"], weights["hidden_bias"]
        self._output, self._output_bias = weights["output"], weights["output_bias"]
        self._table = self.tensors["table"].astype(np.int64)

    def _check(self) -> None:
        """Raises ModelError if any sum could reach EXACT for any input."""
        size = {name: np.abs(tensor.astype(np.int64)) for name, tensor in self.tensors.items()}
        past = size["past"].copy()
        past[-self.config.bits :] *= OLDEST
        first = (
            size["window"].sum(0)
            + past.sum(0)
            + (size["group"] + size["centre"].sum(1)).max(0)
            + size["iteration"].max(0)
            + size["stage"].max(0)
        )
        second = TOP_LEVEL * size["hidden"].sum(0) + size["hidden_bias"]
        logits = TOP_LEVEL * size["output"].sum(1) + size["output_bias"].max(0)
        largest = max(int(layer.max()) for layer in (first, second, logits))
        if largest >= EXACT:
            raise ModelError(f"sums of the context model reach {largest:,}: they are exact below {EXACT:,} only")
        if not (size["shifts"] <= 24).all() or (self.tensors["shifts"] < 0).any():
            raise ModelError("the context model's shifts must be from 0 to 24")
        if self.tensors["table"].min() < 1 or size["table"].max() >= ONE:
            raise ModelError(f"the context model's frequencies must be from 1 to {ONE - 1}")

    def groups(self, history: Sequence[Codes], height: int, width: int) -> Groups:
        """The groups of the next iteration's bits, given the codes ``[bits, height, width]`` of all earlier ones."""
        bits, radius = self.config.bits, self.config.radius
        t = min(len(history), self.config.iterations - 1)
        features = self._features(history, height, width)
        known = np.zeros(((height + 2 * radius) * (width + 2 * radius), bits), np.float32)
        for number, stage in enumerate(_stages(height, width, radius)):
            count = len(stage.places)
            if not count:
                continue
            window = known.take(stage.neighbours, axis=0).reshape(count, -1)
            seen = window @ self._windows[number]
            seen += features[stage.places]
            seen += self._iteration[t] + self._stage[number]
            own = np.zeros((count, bits), np.float32)
            for group, channels in enumerate(self.channels):
                index = np.arange(bits)[channels, None] * (height * width) + stage.places  # [channels, positions]
                frequencies = self._frequencies(seen, own, group, channels, t)
                new = yield index.ravel(), frequencies.T.ravel()
                own[:, channels] = new.reshape(index.shape).T * np.float32(2) - np.float32(1)
            known[stage.padded] = own

    def _features(self, history: Sequence[Codes], height: int, width: int) -> Values:
        """The part of each position's features that depends on earlier iterations, ``[height · width, first]``."""
        seen = [(codes, self.config.past_radius) for codes in history[:-3:-1]]
        if len(history) > 2:
            seen.append((np.sum(history[:-2], axis=0, dtype=np.int16).clip(-OLDEST, OLDEST), 0))
        features = np.zeros((height * width, self.config.hidden[0]), np.float32)
        for (values, radius), weights in zip(seen, self._past, strict=False):  # the first two iterations have fewer
            features += _around(values, radius) @ weights
        return features

    def _frequencies(self, seen: Values, own: Values, group: int, channels: slice, t: int) -> NDArray[np.int64]:
        """ONE · P(bit = 1) for the channels of a group at some positions, ``[positions, channels]``."""
        sums = own[:, : channels.start] @ self._centre[group, : channels.start]
        sums += seen
        sums += self._group[group]
        first = _whole(sums, 0, TOP_LEVEL)
        second = _whole(first @ self._hidden + self._hidden_bias, 0, TOP_LEVEL)
        sums = second @ self._output[channels].T + self._output_bias[t, channels]
        logits = _whole(sums, -TABLE // 2, TABLE // 2 - 1)
        return self._table[logits.astype(np.int64) + TABLE // 2]


def _whole(sums: Values, least: int, most: int) -> Values:
    """Rounds ``sums`` down and clips them to ``least`` … ``most``, in place."""
    np.floor(sums, out=sums)
    return np.clip(sums, least, most, out=sums)


class _Stage(NamedTuple):
    """The positions of a stage as indices in raster order: ``places`` in the picture, ``padded`` in the picture with
    ``radius`` more rows and columns on each side; and ``neighbours`` ``[positions, ·]``, the indices in the padded
    picture of the neighbours of earlier stages."""

    places: Indices
    padded: Indices
    neighbours: Indices


@functools.lru_cache(maxsize=8)
def _stages(height: int, width: int, radius: int) -> list[_Stage]:
    stage, row = stages(height, width), width + 2 * radius
    around = np.array([dy * row + dx for dy, dx in offsets(radius)])
    found = []
    for number, seen in enumerate(earlier(radius)):
        y, x = np.nonzero(stage == number)
        padded = (y + radius) * row + x + radius
        found.append(_Stage(y * width + x, padded, padded[:, None] + around[seen]))
    return found


def _around(values: NDArray[np.signedinteger], radius: int) -> Values:
    """The values within ``radius`` of each position, 0 outside the picture: ``[C, h, w] -> [h · w, side² · C]``, the
    offset before the channel."""
    channels, height, width = values.shape
    padded = np.zeros((height + 2 * radius, width + 2 * radius, channels), np.float32)
    padded[radius : radius + height, radius : radius + width] = values.transpose(1, 2, 0)
    side = 2 * radius + 1
    windows = sliding_window_view(padded, (side, side), axis=(0, 1))  # [h, w, C, side, side]
    return windows.transpose(0, 1, 3, 4, 2).reshape(height * width, -1)
