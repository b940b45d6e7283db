"""What the commands print: messages and progress bars on standard error, because standard output is for data."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = Console(stderr=True, highlight=False)


def progress() -> Progress:
    """A progress bar that disappears when it is done. Nothing is drawn where standard error is not a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=log,
        transient=True,
        disable=not log.is_terminal,
    )
