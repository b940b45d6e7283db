"""The folder of a training run: its options, their checks, its checkpoints, and how it ended."""
