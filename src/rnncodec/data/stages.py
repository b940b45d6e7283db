"""Training in stages: equal parts of its steps, each with a setting of its own."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def at_stage(settings: Sequence[T], progress: float) -> T:
    """That of ``settings`` which holds when the share ``progress`` of the steps, from 0 to 1, is done."""
    return settings[min(int(progress * len(settings)), len(settings) - 1)]
