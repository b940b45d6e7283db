"""The interface between the range coder and context models: ordered groups of bits, and their probabilities."""

from collections.abc import Generator, Iterator, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rnncodec.entropy.config import ContextConfig

Bits = NDArray[np.uint8]
Codes = NDArray[np.int8]  # of one iteration, [bits, h, w], in {-1, +1}
Indices = NDArray[np.intp]
Frequencies = NDArray[np.int64]

FREQUENCY_BITS = 16
ONE = 1 << FREQUENCY_BITS  # the frequency of a certain event; those of bits lie between 1 and ONE - 1

# A generator over the groups of one iteration. For each group it yields the indices of the group's bits in the
# flattened codes [bits, h, w], and ONE · P(bit = 1) for each of them. Then it must be sent these bits, 0 or 1.
Groups = Generator[tuple[Indices, Frequencies], Bits, None]


def replay(groups: Groups, bits: Bits) -> Iterator[tuple[Indices, Frequencies]]:
    """Yields all ``groups`` of an iteration for an encoder, which knows the ``bits``, flat, in advance."""
    try:
        group = next(groups)
        while True:
            yield group
            group = groups.send(bits[group[0]])
    except StopIteration:
        return


class PictureContext(Protocol):
    """A context model while it codes the layers of one picture, in order. What it remembers of them does not grow with
    their number."""

    def groups(self, height: int, width: int) -> Groups:
        """The groups of the next layer's bits, whose codes are ``[bits, height, width]``."""
        ...

    def remember(self, codes: Codes) -> None:
        """Read the codes ``[bits, height, width]`` of the next layer, once they are known: those after it depend on
        them."""
        ...


class ContextModel(Protocol):
    """A context model in the form that codes files. ``coder`` is the coder id in the header of these files (see
    `rnncodec.fileformat.bitstream`). A weights file holds its ``config`` and its ``tensors``."""

    coder: int

    @property
    def config(self) -> ContextConfig: ...

    @property
    def tensors(self) -> Mapping[str, NDArray[np.generic]]: ...

    def start(self) -> PictureContext:
        """A context for one picture, of which no layer is known yet."""
        ...
