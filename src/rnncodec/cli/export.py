"""The command that writes a network for other programs: export."""

from pathlib import Path
from typing import Annotated

import typer

from rnncodec.cli.app import app
from rnncodec.cli.options import Overwrite
from rnncodec.errors import OutputError
from rnncodec.terminal import log
from rnncodec.weights import DEFAULT_MODEL


@app.command()
def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder; it is made if it does not exist.")],
    model: Annotated[str, typer.Argument(help="A released model, a weights file, or a run's folder.")] = DEFAULT_MODEL,
    overwrite: Overwrite = False,
) -> None:
    """Write a network as ONNX: encoder.onnx and decoder.onnx, an iteration each, and model.json with the rest.

    docs/ONNX.md describes the files. This needs the packages of `pip install 'rnncodec[onnx]'`.

    Examples:

        rnncodec export small -o small-onnx

        rnncodec export outputs/runs/… -o my-onnx
    """
    from rnncodec import export as onnx  # with torch
    from rnncodec.model_file import load_model

    for name in (onnx.ENCODER, onnx.DECODER, onnx.MODEL):
        if (output / name).exists() and not overwrite:
            raise OutputError(f"{output / name} exists already; use --overwrite to replace it")
    codec = load_model(model)
    try:
        onnx.export(codec, output)
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror}") from None
    sizes = (
        f"{name} {(output / name).stat().st_size / 1e6:.1f} MB" for name in (onnx.ENCODER, onnx.DECODER, onnx.MODEL)
    )
    log.print(f"{model} → {output}: {', '.join(sizes)}", soft_wrap=True)
