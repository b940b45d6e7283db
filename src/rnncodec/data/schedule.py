"""Schedules: options that take one value after another in equal parts of the training."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def value_at(schedule: Sequence[T], progress: float) -> T:
    """The value of ``schedule`` after the share ``progress`` of the training, from 0 to 1."""
    return schedule[min(int(progress * len(schedule)), len(schedule) - 1)]
