"""A run or a sweep goes on when the terminal that started it is closed."""

import os
import signal
import stat
import threading
from pathlib import Path

from rnncodec.training.run.folder import OUTPUT


def survive_hangup(folder: Path) -> None:
    """When the terminal closes (SIGHUP), print into ``folder/output.log`` from then on, and go on; at once if it is
    closed already. Nothing is changed where no terminal is used, as under nohup."""
    if threading.current_thread() is not threading.main_thread():
        return
    if any(os.isatty(stream) for stream in (0, 1, 2)):
        signal.signal(signal.SIGHUP, lambda *_: redirect(folder))
    if any(is_closed_terminal(stream) for stream in (0, 1, 2)):
        redirect(folder)


def is_closed_terminal(stream: int) -> bool:
    """Whether ``stream`` was a terminal that is closed now."""
    status = os.fstat(stream)
    is_device = stat.S_ISCHR(status.st_mode) and status.st_rdev != os.stat(os.devnull).st_rdev
    return is_device and not os.isatty(stream)


def redirect(folder: Path) -> None:
    """Append standard output and standard error to ``folder/output.log``; reading standard input gives nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
