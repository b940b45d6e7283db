"""What the coder knows of a context model: ordered groups of bits, and their probabilities."""

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]
Indices = NDArray[np.intp]
Frequencies = NDArray[np.int64]

FREQUENCY_BITS = 16
ONE = 1 << FREQUENCY_BITS  # the frequency of a certain event; those of bits lie between 1 and ONE - 1

# One iteration's bits. For each group in turn it yields where the group's bits stand in the flattened codes
# [bits, h, w], and ONE · P(bit = 1) of each of them; it is sent the bits (0 or 1), and goes on from there.
Groups = Generator[tuple[Indices, Frequencies], Bits, None]
