"""What is printed after the terminal has closed, which refuses it, goes into a file of the run."""

import errno
import io
import os
import sys
from pathlib import Path

from rnncodec.training.run.folder import OUTPUT


class Output(io.FileIO):
    """A stream of this process. When nobody reads it any more, as after the terminal was closed or the command behind a
    pipe has ended, this text and everything that the process prints later is appended to ``folder/output.log``."""

    def __init__(self, stream: int, folder: Path) -> None:
        super().__init__(stream, "w", closefd=False)
        self.folder = folder

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EPIPE):
                raise
            self.folder.mkdir(parents=True, exist_ok=True)
            log = os.open(self.folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for stream in (1, 2):
                os.dup2(log, stream)
            return super().write(data)  # type: ignore[arg-type]


def outlive_terminal(folder: Path) -> None:
    """From now on print into ``folder/output.log`` when nobody reads what is printed. A second call changes nothing."""
    for name in ("stdout", "stderr"):
        file = getattr(sys, name)
        if file is getattr(sys, f"__{name}__") and isinstance(file, io.TextIOWrapper):
            buffer = io.BufferedWriter(Output(file.fileno(), folder))
            setattr(sys, name, io.TextIOWrapper(buffer, file.encoding, file.errors, line_buffering=True))
