"""The options of context models. Needs no torch."""

import dataclasses
from typing import ClassVar

from rnncodec.errors import ConfigurationError
from rnncodec.fileformat.bitstream import MAX_LAYERS
from rnncodec.network.options import Config, is_whole

MOST_RADIUS = 15  # with a larger one a context model would not fit into memory
MOST_UNITS = 4096

OLDEST = 8  # sums of older codes are clipped to ±OLDEST


@dataclasses.dataclass(frozen=True)
class ContextConfig(Config):
    """The options that every context model has. They are stored in the metadata of a weights file, with the model's
    ``name``.

    Args:
        bits: of the codec, for each position and iteration.
        iterations: how many the model is trained for.

    Raises:
        ConfigurationError: a value is not a whole number in its range.
    """

    group: ClassVar[str] = "context"
    name: ClassVar[str]
    bits: int
    iterations: int

    def __post_init__(self) -> None:
        self._check_whole("bits", 1, 255)
        self._check_whole("iterations", 1, MAX_LAYERS)

    def _check_whole(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if not is_whole(value, least, most):
            raise ConfigurationError(f"context.{name} must be a whole number from {least} to {most}, not {value}")

    def _check_hidden(self) -> None:
        """Make the option ``hidden``, a pair of whole numbers, a tuple."""
        given = getattr(self, "hidden")  # noqa: B009 (only some of the context models have it)
        hidden = tuple(given) if isinstance(given, list | tuple) else ()
        if len(hidden) != 2 or not all(is_whole(units, 1, MOST_UNITS) for units in hidden):
            raise ConfigurationError(f"context.hidden needs two whole numbers from 1 to {MOST_UNITS}, not {given}")
        object.__setattr__(self, "hidden", hidden)


@dataclasses.dataclass(frozen=True)
class CheckerboardConfig(ContextConfig):
    """Iterations later than those it was trained for are predicted like the last of these.

    Args:
        groups: channel groups; at each position they are coded one after the other.
        radius: the largest distance of neighbours of the same iteration, in positions.
        past_radius: the largest distance of neighbours of the two iterations before.
        hidden: units of the two hidden layers.
    """

    name: ClassVar[str] = "checkerboard"
    groups: int
    radius: int
    past_radius: int
    hidden: tuple[int, int]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_whole("groups", 1, 255)
        self._check_whole("radius", 1, MOST_RADIUS)
        self._check_whole("past_radius", 0, MOST_RADIUS)
        self._check_hidden()


@dataclasses.dataclass(frozen=True)
class RecurrentCheckerboardConfig(ContextConfig):
    """Iterations later than those it was trained for are predicted like the last of these.

    Args:
        groups, radius, hidden: see `CheckerboardConfig`.
        memory: channels of the memory of earlier iterations.
    """

    name: ClassVar[str] = "recurrent_checkerboard"
    groups: int
    radius: int
    memory: int
    hidden: tuple[int, int]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_whole("groups", 1, 255)
        self._check_whole("radius", 1, MOST_RADIUS)
        self._check_whole("memory", 1, MOST_UNITS)
        self._check_hidden()


@dataclasses.dataclass(frozen=True)
class BinaryRNNConfig(ContextConfig):
    """``maps`` is the number of channels of every layer but the last; 64 in the paper."""

    name: ClassVar[str] = "binary_rnn"
    maps: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_whole("maps", 1, MOST_UNITS)
