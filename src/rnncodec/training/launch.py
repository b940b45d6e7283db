"""The processes of a training run.

Each process starts from the config that is saved in the run's folder, not from the command line: processes that repeat
the command line of a sweep would start the sweep again (hydra 2070, lightning 11300).
"""

import os
import subprocess
import sys
from pathlib import Path

from rnncodec.errors import TrainingError
from rnncodec.run_folder import CHECKPOINTS
from rnncodec.training.checkpoints import newest
from rnncodec.training.fit import fit
from rnncodec.training.saved_config import load_config


def launch(folder: Path) -> None:
    """Train the run in ``folder`` to its end: on one device in this process, on several in one process for each.

    torchrun starts the processes. If one of them fails, torchrun ends the others.

    Raises:
        ConfigurationError: ``folder`` holds no run.
        TrainingError: every checkpoint in ``folder`` is damaged, or a process failed; its own message is on the
            terminal.
    """
    devices = load_config(folder).trainer.devices
    checkpoint = newest(folder / CHECKPOINTS)
    if devices == 1:
        return fit(folder, checkpoint)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // devices))}
    arguments = [str(folder), *([str(checkpoint)] if checkpoint else [])]
    done = subprocess.run([*torchrun, "-m", "rnncodec.training.fit", *arguments], env=environment)
    if done.returncode:
        raise TrainingError(f"training of {folder} failed: one of its {devices} processes ended with an error")
