"""A run or a sweep goes on when the terminal that started it is closed."""

import os
import signal
import threading
from pathlib import Path

from rnncodec.training.run.folder import OUTPUT


def survive_hangup(folder: Path) -> None:
    """When the terminal closes (SIGHUP), print into ``folder/output.log`` from then on, and go on. Nothing is changed
    where SIGHUP is ignored, as under nohup."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: redirect(folder))


def redirect(folder: Path) -> None:
    """Append standard output and standard error to ``folder/output.log``; reading standard input gives nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
