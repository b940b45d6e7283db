"""The cores that this process may use."""

import os


def available_cores() -> int:
    """The number of cores that this process may use: fewer than the machine has where SLURM or a container binds it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # systems without affinity
