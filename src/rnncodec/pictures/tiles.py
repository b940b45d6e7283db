"""Large pictures in tiles, so that the memory of the network does not grow with the picture.

The codes of a picture are one grid of positions. The network runs on one tile of it at a time, with a halo: positions
around the tile that it sees too, and whose output is thrown away. The context model sees the whole grid. So the format
of a file knows nothing of tiles, and any decoder reads any file.
"""

from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

from rnncodec.errors import ConfigurationError

Window = tuple[slice, slice]  # rows and columns


class Tile(NamedTuple):
    """Windows of the grid of positions: ``middle`` is the part that a tile fills, ``whole`` this part with its halo.
    ``inner`` is the place of the middle in the whole."""

    middle: Window
    whole: Window
    inner: Window


@dataclass(frozen=True)
class Tiling:
    """How pictures are divided. ``benchmarks/tiles.py`` measures what other values cost.

    Args:
        side: the most positions on a side of a tile, its halo not counted.
        halo: the positions of the halo on each side.

    Both are even, because the framework ``residual_scaling`` has one gain for 2×2 positions.
    """

    side: int = 64
    halo: int = 4

    def tiles(self, height: int, width: int) -> list[Tile]:
        """The tiles of a grid of ``height`` × ``width`` positions, row by row. Their middles fill the grid without
        overlap. A grid of at most ``side`` positions a side is one tile without a halo."""
        return [
            Tile(*zip(rows, columns, strict=True)) for rows, columns in product(self._parts(height), self._parts(width))
        ]

    def _parts(self, length: int) -> list[tuple[slice, slice, slice]]:
        """Middle, whole and inner along one side of the grid. The lengths are even but for the last, and differ by two
        at most."""
        count = -(-length // self.side)
        bounds = [*(2 * round(length / 2 * number / count) for number in range(count)), length]
        found = []
        for start, end in pairwise(bounds):
            first, last = max(start - self.halo, 0), min(end + self.halo, length)
            found.append((slice(start, end), slice(first, last), slice(start - first, end - first)))
        return found


class Region(NamedTuple):
    """A part of a picture: its upper left corner and its size, in pixels."""

    x: int
    y: int
    width: int
    height: int

    def window(self, width: int, height: int) -> Window:
        """The rows and columns of this part of a picture of ``width`` × ``height`` pixels.

        Raises:
            ConfigurationError: the part is empty, or not all of it lies in the picture.
        """
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise ConfigurationError(f"a region needs x and y from 0, width and height from 1, not {tuple(self)}")
        if self.x + self.width > width or self.y + self.height > height:
            raise ConfigurationError(f"the region {tuple(self)} reaches beyond the picture of {width}×{height} pixels")
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


def scaled(window: Window, factor: int) -> Window:
    """A window of positions as a window of pixels, if a position has ``factor`` pixels a side."""
    rows, columns = (slice(part.start * factor, part.stop * factor) for part in window)
    return rows, columns


def overlap(first: Window, second: Window) -> Window | None:
    """The part that two windows share; None if they share nothing."""
    rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def within(window: Window, outer: Window) -> Window:
    """The place of ``window`` in the window ``outer``, which holds it."""
    rows, columns = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(window, outer, strict=True))
    return rows, columns
