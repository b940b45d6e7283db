"""The shape of a checkerboard context model. Needs no torch."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from rnncodec.errors import ConfigurationError

OLDEST = 8  # sums of older codes are clipped to ±OLDEST


@dataclasses.dataclass(frozen=True)
class CheckerboardConfig:
    """What fixes the model's shape; it travels in the metadata of a weights file.

    ``bits``: those of a position, as the codec has them. ``iterations``: those trained; later ones count as the last.
    ``groups``: channel groups. ``radius``: how far it sees in this iteration, ``past_radius`` in the two before, in
    positions. ``hidden``: units of the two hidden layers.

    Raises:
        ConfigurationError: a value is no whole number in its range.
    """

    bits: int = 32
    iterations: int = 16
    groups: int = 8
    radius: int = 2
    past_radius: int = 1
    hidden: tuple[int, int] = (96, 32)

    def __post_init__(self) -> None:
        for name, least in (("bits", 1), ("iterations", 1), ("groups", 1), ("radius", 1), ("past_radius", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigurationError(f"entropy.{name} must be a whole number of at least {least}, not {value}")
        hidden = tuple(self.hidden) if isinstance(self.hidden, list | tuple) else ()
        if len(hidden) != 2 or not all(isinstance(units, int) and units >= 1 for units in hidden):
            raise ConfigurationError(f"entropy.hidden needs two positive whole numbers, not {self.hidden}")
        object.__setattr__(self, "hidden", hidden)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "CheckerboardConfig":
        """From a mapping as it stands in a config or a weights file; unknown keys are a ConfigurationError."""
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ConfigurationError(f"unknown entropy options: {', '.join(sorted(unknown))}")
        return cls(**values)
