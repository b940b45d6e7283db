"""A checkerboard context model in integers: the same probabilities on every machine.

All values are whole numbers, stored as float32. float32 represents every whole number up to 2^24. A weights file with
which any sum could reach 2^24 is refused when it is loaded. Below that, all products and partial sums are exact, in any
order, with any instructions and any number of threads. Scaling by powers of two and rounding down are exact as well.
The model always runs in numpy on the CPU, also if the codec runs on a GPU: numpy has no matrix products of lower
precision, and no convolutions that choose among algorithms.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnncodec.entropy.config import OLDEST, CheckerboardConfig
from rnncodec.entropy.interface import ONE, Codes, Frequencies, Groups, Indices
from rnncodec.entropy.order import STAGES, channel_groups, earlier, offsets, stages
from rnncodec.entropy.parallel import in_parallel
from rnncodec.errors import ModelError
from rnncodec.fileformat import bitstream

EXACT = 2**24  # float32 represents all whole numbers up to here
TOP_LEVEL = 1023  # activations are from 0 to this
TABLE = 1024  # entries, from logits to frequencies
TYPES = ("int16", "int32")  # of the tensors: sums of larger numbers could pass for small ones, since they wrap
BLOCK = 2048  # positions that are computed at a time, so that the memory does not grow with the picture

# For each layer, the tensors that its sums are made of. The sums are divided by 2^shift of the layer.
LAYERS = (
    ("window", "past", "centre", "iteration", "stage", "group"),
    ("hidden", "hidden_bias"),
    ("output", "output_bias"),
)

Values = NDArray[np.float32]


class CheckerboardContext:
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
        check_tensors(self.tensors, self.shapes(config))
        check_table(self.tensors)
        check_sums(self._largest())
        weights = divided(self.tensors, dict(zip(LAYERS, self.tensors["shifts"].tolist(), strict=True)))
        window = windows(weights["window"], config.radius)
        around = (2 * config.past_radius + 1) ** 2
        self.past = np.split(weights["past"], [around * config.bits, 2 * around * config.bits])
        table = self.tensors["table"].astype(np.int64)
        self._predictors = [
            Predictor(
                config.radius,
                self.channels,
                window,
                weights["iteration"][t] + weights["stage"],
                weights["centre"],
                weights["group"],
                weights["hidden"],
                weights["hidden_bias"],
                weights["output"],
                weights["output_bias"][t],
                table,
            )
            for t in range(config.iterations)
        ]

    @staticmethod
    def shapes(config: CheckerboardConfig) -> dict[str, tuple[int, ...]]:
        """The shapes of the tensors of a context model with this config, by name."""
        groups, (first, second) = len(channel_groups(config.bits, config.groups)), config.hidden
        past = 2 * (2 * config.past_radius + 1) ** 2 + 1
        return {
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

    def _largest(self) -> int:
        """The largest magnitude that a sum could reach, for any input."""
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
        return max(int(layer.max()) for layer in (first, second, logits))

    def start(self) -> "CheckerboardPicture":
        return CheckerboardPicture(self)

    def predictor(self, t: int) -> "Predictor":
        """That of iteration t; the first is 0."""
        return self._predictors[min(t, self.config.iterations - 1)]


class CheckerboardPicture:
    """The context of one picture: the codes of its last two layers, and the sum of those of all layers before."""

    def __init__(self, model: CheckerboardContext) -> None:
        self._model = model
        self._layers = 0  # that are remembered
        self._recent: list[Codes] = []  # the last layer, and the one before
        self._older: NDArray[np.int16] | None = None

    def groups(self, height: int, width: int) -> Groups:
        seen: list[NDArray[np.signedinteger]] = [*self._recent]
        if self._older is not None:
            seen.append(self._older.clip(-OLDEST, OLDEST))
        features = np.zeros((height * width, self._model.config.hidden[0]), np.float32)
        for values, weights in zip(seen, self._model.past, strict=False):  # the first two layers have fewer
            features += convolve(positions_first(values), weights)
        return self._model.predictor(self._layers).groups(features, height, width)

    def remember(self, codes: Codes) -> None:
        self._recent.insert(0, codes)
        if len(self._recent) > 2:
            oldest = self._recent.pop().astype(np.int16)
            self._older = oldest if self._older is None else self._older + oldest
        self._layers += 1


@dataclass(frozen=True)
class Predictor:
    """The whole numbers by which a checkerboard predicts the bits of one iteration. ``bias`` ``[STAGES, first]`` is
    that of a stage; see `CheckerboardContext` for the other names. ``windows`` has for each stage the weights of the
    neighbours of earlier stages."""

    radius: int
    channels: list[slice]
    windows: list[Values]
    bias: Values
    centre: Values
    group: Values
    hidden: Values
    hidden_bias: Values
    output: Values
    output_bias: Values
    table: NDArray[np.int64]

    def groups(self, features: Values, height: int, width: int) -> Groups:
        """The groups of the bits; ``features`` ``[height · width, first]`` is the part of the first layer's sums that
        depends on earlier iterations."""
        bits = len(self.output)
        known = np.zeros(((height + 2 * self.radius) * (width + 2 * self.radius), bits), np.float32)
        for number, stage in enumerate(_stages(height, width, self.radius)):
            count = len(stage.places)
            if not count:
                continue
            seen = features[stage.places]
            seen += self.bias[number]
            in_parallel(partial(self._look, known, stage.neighbours, self.windows[number], seen), _blocks(count))
            own = np.zeros((count, bits), np.float32)
            for group, channels in enumerate(self.channels):
                index = np.arange(bits)[channels, None] * (height * width) + stage.places  # [channels, positions]
                frequencies = self._frequencies(seen, own, group, channels)
                new = yield index.ravel(), frequencies.T.ravel()
                own[:, channels] = new.reshape(index.shape).T * np.float32(2) - np.float32(1)
            known[stage.padded] = own

    @staticmethod
    def _look(known: Values, neighbours: Indices, window: Values, seen: Values, block: slice) -> None:
        """Add what the ``neighbours`` of a block of positions say of them to ``seen``."""
        codes = known.take(neighbours[block], axis=0)
        seen[block] += codes.reshape(len(codes), -1) @ window

    def _frequencies(self, seen: Values, own: Values, group: int, channels: slice) -> Frequencies:
        """ONE · P(bit = 1) for the channels of a group at some positions, ``[positions, channels]``."""
        frequencies = np.empty((len(seen), channels.stop - channels.start), np.int64)

        def predict(block: slice) -> None:
            sums = own[block, : channels.start] @ self.centre[group, : channels.start]
            sums += seen[block]
            sums += self.group[group]
            first = whole(sums, 0, TOP_LEVEL)
            second = whole(first @ self.hidden + self.hidden_bias, 0, TOP_LEVEL)
            sums = second @ self.output[channels].T + self.output_bias[channels]
            logits = whole(sums, -TABLE // 2, TABLE // 2 - 1)
            frequencies[block] = self.table[logits.astype(np.int64) + TABLE // 2]

        in_parallel(predict, _blocks(len(seen)))
        return frequencies


def _blocks(count: int) -> Iterator[slice]:
    """Ranges of at most BLOCK positions, which fill ``count`` positions."""
    return (slice(first, first + BLOCK) for first in range(0, count, BLOCK))


def check_tensors(tensors: Mapping[str, NDArray[np.integer]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises ModelError if ``tensors`` do not have these names and ``shapes``, or are not of one of the TYPES."""
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != shapes or any(tensor.dtype.name not in TYPES for tensor in tensors.values()):
        raise ModelError(f"the context model needs whole numbers of the shapes {shapes}, not {found}")


def check_table(tensors: Mapping[str, NDArray[np.integer]]) -> None:
    """Raises ModelError if a shift or a frequency is out of range."""
    if tensors["shifts"].max() > 24 or tensors["shifts"].min() < 0:
        raise ModelError("the context model's shifts must be from 0 to 24")
    if tensors["table"].min() < 1 or tensors["table"].max() >= ONE:
        raise ModelError(f"the context model's frequencies must be from 1 to {ONE - 1}")


def check_sums(largest: int) -> None:
    """Raises ModelError if sums can grow so large that float32 would round them."""
    if largest >= EXACT:
        raise ModelError(f"sums of the context model reach {largest:,}: they are exact below {EXACT:,} only")


def divided(tensors: Mapping[str, NDArray[np.integer]], shifts: Mapping[tuple[str, ...], int]) -> dict[str, Values]:
    """The weights divided by two to the power of their layer's shift; this divides the sums of the layer exactly."""
    return {
        name: np.ldexp(tensors[name].astype(np.float32), -shift) for layer, shift in shifts.items() for name in layer
    }


def windows(window: Values, radius: int) -> list[Values]:
    """For each stage, the rows of ``window`` ``[offsets · bits, first]`` of the neighbours of earlier stages."""
    by_offset = window.reshape(len(offsets(radius)), -1, window.shape[-1])
    return [by_offset[seen].reshape(-1, window.shape[-1]) for seen in earlier(radius)]


def whole(sums: Values, least: int, most: int) -> Values:
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


def positions_first(values: NDArray[np.signedinteger]) -> Values:
    """``[C, h, w]`` as float32 ``[h, w, C]``."""
    return np.ascontiguousarray(values.transpose(1, 2, 0), dtype=np.float32)


def convolve(values: Values, weights: Values) -> Values:
    """The convolution of ``values`` ``[h, w, C]``, 0 outside the picture, with square kernels ``[side² · C, F]``, the
    offset before the channel: ``[h · w, F]``. It is computed for a few rows at a time, so that their sums stay in the
    processor's cache, by one product for each offset."""
    height, width, channels = values.shape
    kernel = weights.reshape(-1, channels, weights.shape[-1])
    radius = round(len(kernel) ** 0.5) // 2
    padded = np.pad(values, ((radius, radius), (radius, radius), (0, 0)))
    sums = np.zeros((height, width, weights.shape[-1]), np.float32)
    rows = max(1, BLOCK // width)

    def add(top: int) -> None:
        band = sums[top : top + rows]
        for (dy, dx), weight in zip(product(range(2 * radius + 1), repeat=2), kernel, strict=True):
            band += padded[top + dy : top + dy + len(band), dx : dx + width] @ weight

    in_parallel(add, range(0, height, rows))
    return sums.reshape(-1, weights.shape[-1])
