"""The order in which a checkerboard context codes positions: nested grids, from coarse to fine.

Each stage makes the grid of known positions denser. The last stage has half of all positions; their four nearest
neighbours are known. For the stage before it the four diagonal neighbours are known. The stage of each position:

    0 3 1 3 0 3 …
    3 2 3 2 3 2
    1 3 0 3 1 3
    3 2 3 2 3 2
    0 3 1 3 0 3
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

STAGES = 4


def stages(height: int, width: int) -> NDArray[np.int64]:
    """The stage of each position, ``[height, width]``, from 0 to STAGES - 1."""
    y, x = np.mgrid[:height, :width]
    stage = np.full((height, width), 3)
    stage[(y % 2 == 1) & (x % 2 == 1)] = 2
    stage[(y % 2 == 0) & (x % 2 == 0)] = 1
    stage[(y % 2 == 0) & (x % 2 == 0) & ((y + x) % 4 == 0)] = 0
    return stage


def channel_groups(bits: int, groups: int) -> list[slice]:
    """The channels of each group, ``groups`` ranges of nearly equal length; no more groups than channels."""
    groups = min(groups, bits)
    starts = [-(-g * bits // groups) for g in range(groups + 1)]
    return [slice(start, end) for start, end in pairwise(starts)]


def offsets(radius: int) -> list[tuple[int, int]]:
    """The neighbours ``(dy, dx)`` within ``radius`` rows and columns, in raster order, the position itself left out."""
    reach = range(-radius, radius + 1)
    return [(dy, dx) for dy in reach for dx in reach if (dy, dx) != (0, 0)]


def earlier(radius: int) -> list[list[int]]:
    """For each stage, the indices of those ``offsets(radius)`` that lead to positions of earlier stages. They are the
    same for all positions of a stage."""
    grid = stages(2 * radius + 4, 2 * radius + 4)
    inner = grid[radius : radius + 4, radius : radius + 4]  # holds every stage; offsets stay inside the grid
    found = []
    for stage in range(STAGES):
        y, x = np.argwhere(inner == stage)[0] + radius
        found.append([i for i, (dy, dx) in enumerate(offsets(radius)) if grid[y + dy, x + dx] < stage])
    return found
