"""What a job of SLURM does when its time ends, or when it is preempted."""

import os
import signal
import subprocess
import time

from rnncodec.terminal import log
from rnncodec.training.process.interruption import Interruption, stop

PATIENCE = 10  # seconds


def restarted() -> bool:
    """Whether this process is in a job of SLURM that was requeued."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0


def requeue(interruption: Interruption) -> None:
    """After a run was stopped by a signal: put its job back into SLURM's queue, so that it goes on later.

    Where submitit has started the job, it is left to submitit's own handler. Outside of SLURM nothing is done, nor
    after Ctrl-C or where a terminal has closed.
    """
    number = interruption.received
    if number is None or number in (signal.SIGINT, signal.SIGHUP):
        return
    before = interruption.before.get(number)
    if callable(before) and before not in (signal.default_int_handler, stop):
        before(number, None)
    if "SLURM_JOB_ID" not in os.environ:
        return
    if number == signal.SIGTERM:
        # Either SLURM ends the job because it is preempted, and requeues it unless it has ended by itself before; or it
        # is cancelled; or somebody has sent the signal to this process alone, and nothing follows.
        time.sleep(PATIENCE)
        return
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    else:
        job = os.environ["SLURM_JOB_ID"]
    log.print(f"requeued: job {job} goes on later")
    subprocess.run(["scontrol", "requeue", job], check=True)
