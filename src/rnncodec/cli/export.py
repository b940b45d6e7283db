"""The commands that write a network for other programs and for browsers: export, web."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from rnncodec.cli.app import app
from rnncodec.cli.options import Overwrite
from rnncodec.coding.onnx_codec import FILES
from rnncodec.errors import OutputError
from rnncodec.terminal import log
from rnncodec.weights.released import DEFAULT_MODEL, released_models

Model = Annotated[str, typer.Argument(help="A released model, a weights file, or a run's folder.")]
Models = Annotated[
    list[str] | None,
    typer.Argument(
        help="The model that compresses photos, then others whose files the page opens; by default the released ones."
    ),
]
Folder = Annotated[Path, typer.Option("-o", "--output", help="The folder; it is made if it does not exist.")]


@app.command()
def export(output: Folder, model: Model = DEFAULT_MODEL, overwrite: Overwrite = False) -> None:
    """Write a network as ONNX: encoder.onnx and decoder.onnx, an iteration each, and the rest: pixels.onnx,
    context.bin, model.json.

    docs/ONNX.md describes the files. This needs the packages of `pip install 'rnncodec[onnx]'`.

    Examples:

        rnncodec export light -o light-onnx

        rnncodec export outputs/runs/… -o my-onnx
    """
    for name in FILES:
        if (output / name).exists() and not overwrite:
            raise OutputError(f"{output / name} exists already; use --overwrite to replace it")
    try:
        write_network(model, output)
    except OSError as error:
        raise OutputError(f"{error.filename or output} cannot be written: {error.strerror}") from None
    log.print(f"{model} → {output}: {megabytes(output)}", soft_wrap=True)


@app.command()
def web(output: Folder, models: Models = None, overwrite: Overwrite = False) -> None:
    """Write a page that compresses and opens files in a browser, as a folder for any file server.

    It shows a file while it is still arriving, layer by layer. `?src=photo.rnnc` behind the address of the page opens a
    file at once. Needs the packages of `pip install 'rnncodec[onnx]'`.

    Examples:

        rnncodec web -o site

        python -m http.server --directory site

        rnncodec web outputs/runs/… light -o site
    """
    from rnncodec.export.web import PAGE, write_page

    if (output / PAGE).exists() and not overwrite:  # before the networks are exported, which takes long
        raise OutputError(f"{output / PAGE} exists already; use --overwrite to replace it")
    names = models or sorted(released_models(), key=lambda name: name != DEFAULT_MODEL)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            networks = [Path(temporary) / str(number) for number in range(len(names))]
            for name, network in zip(names, networks, strict=True):
                write_network(name, network)
            sizes = write_page(networks, output, overwrite)
    except OSError as error:
        raise OutputError(f"{error.filename or output} cannot be written: {error.strerror}") from None
    log.print(f"{names[0]} → {output}: {sizes[0] / 1e6:.1f} MB", soft_wrap=True)
    for name, size in zip(names[1:], sizes[1:], strict=True):
        log.print(f"{name}, loaded for files of its own: {size / 1e6:.1f} MB", soft_wrap=True)


def write_network(model: str, folder: Path) -> None:
    """Export ``model`` into ``folder``."""
    from rnncodec.export import onnx  # with torch
    from rnncodec.weights.weights_file import load_model

    onnx.export(load_model(model), folder)


def megabytes(folder: Path) -> str:
    return ", ".join(f"{name} {(folder / name).stat().st_size / 1e6:.1f} MB" for name in FILES)
