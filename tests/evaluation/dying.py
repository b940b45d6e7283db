"""A task that ends its process, as a system does that is out of memory. Workers import this module, and little else."""

import os
import signal


def die(job: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
