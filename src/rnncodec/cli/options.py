"""Arguments and options that several commands have."""

from typing import Annotated

import typer

Inputs = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Files and folders; - is standard input.", show_default=False)
]
Output = Annotated[
    str | None,
    typer.Option("-o", "--output", help="Output file, or a folder for several inputs; - is standard output."),
]
MaxBytes = Annotated[int | None, typer.Option(help="Largest file, in bytes: write as many layers as fit.")]
Device = Annotated[str, typer.Option(help="The device that the network runs on: cpu, cuda, cuda:1, mps.")]
MaxPixels = Annotated[
    int,
    typer.Option(
        min=1, help="Refuse pictures of more pixels (width × height); the layers of a file are limited by it, too."
    ),
]
KeepTime = Annotated[
    bool, typer.Option("--keep-time/--no-keep-time", help="Give outputs the modification times of their inputs.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace output files that exist, those of folders too.")]
Strip = Annotated[bool, typer.Option("--strip", help="Leave out EXIF, XMP, and the colour tag, not transparency.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes, each on one file at a time.")]
