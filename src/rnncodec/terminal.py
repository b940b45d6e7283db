"""What the commands print: messages and progress bars on standard error, because standard output is for data."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

# What a terminal may obey instead of showing it: control characters but tab and newline, those that turn the direction
# of writing, and halves of surrogate pairs, which stand for undecodable bytes of names and which no file can hold.
COMMANDS = [*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
UNSHOWN = dict.fromkeys([*COMMANDS, *range(0xD800, 0xE000)], "\N{REPLACEMENT CHARACTER}")


def printable(text: str) -> str:
    """``text``, which may hold the name of somebody's file, without characters that a terminal obeys."""
    return text.translate(UNSHOWN)


def counted(number: int, noun: str) -> str:
    """As ``1 image`` and ``1,478 images``."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


class Terminal(Console):
    """A console that prints every text `printable`, and no ``:name:`` as an emoji."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


log = Terminal(stderr=True, highlight=False)


def say_left_out(line: str) -> None:
    """Say in a line which files of a folder a command leaves out."""
    log.print(f"[yellow]left out[/] {escape(line)}", soft_wrap=True)


def progress() -> Progress:
    """A progress bar that disappears when it is done. Nothing is drawn where standard error is not a terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=log,
        transient=True,
        disable=not log.is_terminal,
    )
