"""The names of the files in the folder of a training run."""

CONFIG = "config.yaml"  # every option of the run
WEIGHTS = "weights.safetensors"  # the trained network, as the codec reads it
CHECKPOINTS = "checkpoints"  # the folder that a run is resumed from
