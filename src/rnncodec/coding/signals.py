"""Signals that ask a command to end: SIGINT (Ctrl-C) and SIGTERM."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rnncodec.terminal import log

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal asks the command to end. It is no Exception, so that nothing on the way treats it as an error."""


@contextmanager
def ended_by_signals(kept: str) -> Iterator[None]:
    """Runs its block, which the first of SIGNALS ends with one line, which says what is ``kept``, and with the exit
    code that shells know. Files that are half written are removed on the way. Later signals do not disturb this."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        yield
    except Interrupted as interrupted:
        (number,) = interrupted.args
        log.print(f"[red]interrupted[/] by {signal.Signals(number).name}; {kept}", soft_wrap=True)
        sys.exit(128 + number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # `timeout` sends a signal twice, to the process and to its group
    raise Interrupted(number)
