"""What the commands print holds nothing that a terminal obeys."""

import io

import pytest
from rich.markup import escape
from rich.table import Table

from rnncodec.terminal import Terminal, printable

ODD_NAMES = ["\x1b]0;owned\x07photo.png", "\x1b[2Jphoto.png", "gnp.\u202ephoto", "\udcffphoto.png", "\x9b31mphoto.png"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_of_files_are_shown_and_not_obeyed(name: str) -> None:
    file = io.StringIO()
    console = Terminal(file=file, width=100)
    console.print(f"[red]error[/] {escape(name)}: no such file", soft_wrap=True)
    table = Table("file")
    table.add_row(escape(name))
    console.print(table)
    shown = file.getvalue()
    shown.encode()
    assert shown.count("photo") == 2
    assert not set(shown) & set("\x1b\x07\x9b\u202e\udcff")


def test_other_names_are_shown_as_they_are() -> None:
    for name in ("Ünïcödé – 写真.png", "a b\tc", "[red]x[/red]", "🖼.png", "two\nlines"):
        assert printable(name) == name
