"""The typer application that the commands belong to."""

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Recurrent, progressive image compression: one file, cut it anywhere, it still decodes.",
)
