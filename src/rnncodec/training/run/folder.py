"""The names of the files in the folder of a training run."""

from rnncodec.weights.released import RUN_CONFIG

CONFIG = RUN_CONFIG  # every option of the run
CHECKPOINTS = "checkpoints"  # the folder that a run is resumed from
RESULT = "result.json"  # the last figures of a run that is finished; absent in any other
FAILURE = "failure.txt"  # why the run failed, if it did
OUTPUT = "output.log"  # what was printed after the terminal had closed
LOCK = ".lock"  # held while a process trains the run
HISTORY = "history.csv"  # every logged value
