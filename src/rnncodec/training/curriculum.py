"""How many iterations each step trains."""

from collections.abc import Iterable, Sequence

from rnncodec.data.schedule import value_at
from rnncodec.errors import ConfigurationError
from rnncodec.network.options import is_whole


class Curriculum:
    """A schedule of the number of iterations, with one entry for each of equally long parts of the training. An entry
    is a number, or a list of numbers that take turns from step to step: with ``[8, 8, 8, 24]`` every fourth step trains
    24 iterations, and the others 8. The step alone decides, so that all processes and a resumed run agree.

    Args:
        entries: None or an empty list for ``iterations`` in every step.
        iterations: of the network, the most that a step may train.

    Raises:
        ConfigurationError: an entry is not a number from 1 to ``iterations``, or a list of them.
    """

    def __init__(self, entries: Sequence[int | Sequence[int]] | None, iterations: int) -> None:
        self.turns = [list(entry) if isinstance(entry, Iterable) else [entry] for entry in entries or [iterations]]
        if not all(turns and all(is_whole(n, 1, iterations) for n in turns) for turns in self.turns):
            raise ConfigurationError(
                f"curriculum needs whole numbers from 1 to iterations={iterations}, or lists of them, not {entries}"
            )

    def at(self, step: int, steps: int) -> int:
        """The iterations of ``step``, counted from 0, of ``steps``."""
        turns = value_at(self.turns, step / steps)
        return turns[step % len(turns)]

    @property
    def fewest(self) -> int:
        """The fewest iterations that any step trains."""
        return min(map(min, self.turns))
