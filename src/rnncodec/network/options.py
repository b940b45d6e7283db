"""Configs: what fixes a network's shape, as frozen dataclasses. Needs no torch."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from rnncodec.errors import ConfigurationError

MOST_RUNS = 64  # of priming and of diffusion

C = TypeVar("C", bound="Config")


def is_whole(value: object, least: int, most: float = math.inf) -> bool:
    """Whether ``value`` is a whole number from ``least`` to ``most``. True and False are not numbers here."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_real(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether ``value`` is a finite number from ``least`` to ``most``. True and False are not numbers here."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return least <= value <= most and -math.inf < value < math.inf


@dataclasses.dataclass(frozen=True)
class Config:
    """The base of configs. ``group`` is the folder of ``conf/`` that has its options and their default values."""

    group: ClassVar[str]

    @classmethod
    def from_mapping(cls: type[C], values: Mapping[str, Any]) -> C:
        """From the options in a run's config or in a weights file.

        Raises:
            ConfigurationError: an option is unknown or missing, or its value cannot work.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        for kind, wrong in (("unknown", set(values) - names), ("missing", names - set(values))):
            if wrong:
                raise ConfigurationError(f"{kind} {cls.group} options: {', '.join(sorted(wrong))}")
        return cls(**values)
