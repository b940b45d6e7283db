"""The cores that this process may use."""

import os

from rnncodec.terminal import log


def available_cores() -> int:
    """The number of cores that this process may use: fewer than the machine has where SLURM or a container binds it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # systems without affinity


def warn_of_few_cores(processes: int, option: str) -> None:
    """Say on the terminal if ``option`` asks for more processes than this one has cores."""
    cores = available_cores()
    if processes > cores:
        log.print(
            f"[yellow]{option}[/] starts {processes} processes, which share {cores} cores: fewer would be as fast",
            soft_wrap=True,
        )
