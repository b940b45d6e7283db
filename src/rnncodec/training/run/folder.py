"""The folder of a training run, and the names of the files in it."""

from pathlib import Path

from rnncodec.weights.released import RUN_CONFIG

CONFIG = RUN_CONFIG  # every option of the run
CHECKPOINTS = "checkpoints"  # the folder that a run is resumed from
RESULT = "result.json"  # the last figures of a run that is finished; absent in any other
FAILURE = "failure.txt"  # why the run failed, if it did
OUTPUT = "output.log"  # what was printed after the terminal had closed
LOCK = ".lock"  # held while a process trains the run
HISTORY = "history.csv"  # every logged value


def holds_run(folder: Path) -> bool:
    """Whether ``folder`` holds a run, finished or not. One that was killed before its config was saved is none."""
    config = folder / CONFIG
    return config.is_file() and config.stat().st_size > 0
