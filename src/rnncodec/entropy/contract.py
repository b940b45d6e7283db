"""What the coder knows of a context model: ordered groups of bits, and their probabilities."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rnncodec.entropy.config import ContextConfig

Bits = NDArray[np.uint8]
Codes = NDArray[np.int8]  # of an iteration, [bits, h, w], in {-1, +1}
Indices = NDArray[np.intp]
Frequencies = NDArray[np.int64]

FREQUENCY_BITS = 16
ONE = 1 << FREQUENCY_BITS  # the frequency of a certain event; those of bits lie between 1 and ONE - 1

# One iteration's bits. For each group in turn it yields where the group's bits stand in the flattened codes
# [bits, h, w], and ONE · P(bit = 1) of each of them; it is sent the bits (0 or 1), and goes on from there.
Groups = Generator[tuple[Indices, Frequencies], Bits, None]


def replay(groups: Groups, bits: Bits) -> Iterator[tuple[Indices, Frequencies]]:
    """All ``groups`` of an iteration whose ``bits``, flat, are known: as its encoder goes through them."""
    try:
        group = next(groups)
        while True:
            yield group
            group = groups.send(bits[group[0]])
    except StopIteration:
        return


class Context(Protocol):
    """A context model that codes files. ``coder``: the id of files under it (see `rnncodec.bitstream`). ``config`` and
    ``tensors`` are all of it, as a weights file holds them."""

    coder: int

    @property
    def config(self) -> ContextConfig: ...

    @property
    def tensors(self) -> Mapping[str, NDArray[np.generic]]: ...

    def groups(self, history: Sequence[Codes], height: int, width: int) -> Groups:
        """The groups of the next iteration's bits, given the codes ``[bits, height, width]`` of all before it."""
        ...
