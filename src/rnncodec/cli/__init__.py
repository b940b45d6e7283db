"""The command line: rnncodec compress | decompress | truncate | info | export | web | shards | report | ablation.

One file for each group of commands; `main` is the entry point.
"""

import os
import signal
import sys

from rich.markup import escape

from rnncodec.cli import codec, export, research
from rnncodec.cli.app import app
from rnncodec.coding.signals import ended_by_signals
from rnncodec.errors import RnncodecError, from_system
from rnncodec.terminal import log

__all__ = ["app", "codec", "export", "main", "research"]


def main() -> None:
    """Run the command. Every error that a user can mend ends in one line and an exit code. So do SIGINT and SIGTERM,
    after files that are half written have been removed. If nobody reads the output any more, the command ends silently,
    as others do."""
    occupy_closed_streams()
    try:
        try:
            with ended_by_signals("finished files are kept"):
                app()
        finally:
            sys.stdout.flush()
    except RnncodecError as error:
        log.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        for stream in (sys.stdout, sys.stderr):  # which Python would flush once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        ours = from_system(error)
        log.print(f"[red]error[/] {escape(str(ours))}", soft_wrap=True)
        sys.exit(ours.exit_code)


def occupy_closed_streams() -> None:
    """Open what is closed of standard input, output and error, so that no file gets its number. ``sys.__stdin__`` and
    the like still tell that it was closed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 (until the process ends)
