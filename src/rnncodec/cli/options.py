"""Arguments and options that several commands have."""

from typing import Annotated

import typer

Inputs = Annotated[list[str], typer.Argument(metavar="FILE...", help="Files; - is standard input.", show_default=False)]
Output = Annotated[
    str | None,
    typer.Option("-o", "--output", help="Output file, or a folder for several inputs; - is standard output."),
]
Iterations = Annotated[
    int | None, typer.Option(help="Layers to write. Default: 8, or as many as one of the targets below needs.")
]
Bpp = Annotated[float | None, typer.Option(help="Largest file, in bits per pixel: write as many layers as fit.")]
MaxBytes = Annotated[int | None, typer.Option(help="Largest file, in bytes: write as many layers as fit.")]
Psnr = Annotated[float | None, typer.Option(help="Lowest quality, PSNR in dB: write as few layers as reach it.")]
MsSsim = Annotated[
    float | None, typer.Option(help="Lowest quality, MS-SSIM from 0 to 1: write as few layers as reach it.")
]
WrittenWith = Annotated[
    str | None, typer.Option(help="The weights that the file was written with, if they are not released ones.")
]
Device = Annotated[str, typer.Option(help="Where the network runs: cpu, cuda, cuda:1, mps.")]
MaxPixels = Annotated[int, typer.Option(min=1, help="Refuse pictures of more pixels (width × height).")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace output files that exist.")]
