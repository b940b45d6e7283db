"""The command line: rnncodec compress | decompress | truncate | info | shards | report | ablation.

One file for each group of commands; `main` is the entry point.
"""

import sys

from rich.markup import escape

from rnncodec.cli import codec, research
from rnncodec.cli.app import app
from rnncodec.errors import RnncodecError
from rnncodec.terminal import log

__all__ = ["app", "codec", "main", "research"]


def main() -> None:
    """Run the command. Every error that a user can mend ends in one line and an exit code."""
    try:
        app()
    except RnncodecError as error:
        log.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)
