"""Work on several cores in one process: numpy computes without Python's lock."""

import functools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rnncodec.cores import available_cores

T = TypeVar("T")

MOST_THREADS = 4  # what Python does between two products keeps more from working at the same time


def in_parallel(work: Callable[[T], object], parts: Iterable[T]) -> None:
    """``work`` on each of the ``parts``, on as many threads as torch takes: OMP_NUM_THREADS, or one a core; but no more
    than MOST_THREADS."""
    parts = list(parts)
    if len(parts) == 1:
        work(parts[0])
    else:
        for _ in _threads(os.getpid()).map(work, parts):  # raises what a part raised
            pass


@functools.lru_cache(maxsize=1)
def _threads(process: int) -> ThreadPoolExecutor:
    """The threads of this ``process``: a forked process needs new ones."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(wanted) if wanted.isdecimal() else available_cores()
    return ThreadPoolExecutor(max(1, min(threads, MOST_THREADS)))
