"""The command line: rnncodec compress | decompress | truncate | info | export | web | shards | report | ablation.

One file for each group of commands; `main` is the entry point.
"""

import signal
import sys
from types import FrameType

from rich.markup import escape

from rnncodec.cli import codec, export, research
from rnncodec.cli.app import app
from rnncodec.errors import RnncodecError
from rnncodec.terminal import log

__all__ = ["app", "codec", "export", "main", "research"]


class Interrupted(BaseException):
    """A signal asks the command to end. It is no Exception, so that nothing on the way treats it as an error."""


def main() -> None:
    """Run the command. Every error that a user can mend ends in one line and an exit code. So do SIGINT and SIGTERM,
    after files that are half written have been removed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        app()
    except RnncodecError as error:
        log.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)
    except Interrupted as interrupted:
        (number,) = interrupted.args
        log.print(f"[red]interrupted[/] by {signal.Signals(number).name}; finished files are kept", soft_wrap=True)
        sys.exit(128 + number)  # as shells count it


def interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)
