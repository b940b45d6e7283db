"""The command line: rnncodec compress | decompress | truncate | info | shards | report | ablation."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from rnncodec import bitstream
from rnncodec.errors import ConfigurationError, InputError, OutputError, RnncodecError
from rnncodec.imaging import open_image, to_pixels
from rnncodec.limits import MAX_PIXELS
from rnncodec.rate import Target, bits_per_pixel
from rnncodec.weights import DEFAULT_MODEL, released_name

SUFFIX = ".rnnc"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Recurrent, progressive image compression: one file, cut it anywhere, it still decodes.",
)
log = Console(stderr=True, highlight=False)  # standard output is for data

Step = Callable[[int], Callable[[], None]]  # told how many steps there will be, it returns what to call after each

Inputs = Annotated[list[str], typer.Argument(metavar="FILE...", help="Files; - is standard input.", show_default=False)]
Output = Annotated[
    str | None,
    typer.Option("-o", "--output", help="Output file, or folder for several inputs; - is standard output."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace output files that exist.")]
Device = Annotated[str, typer.Option(help="Where the network runs: cpu, cuda, cuda:1, mps.")]
LargestPicture = Annotated[int, typer.Option(min=1, help="Refuse pictures of more pixels (width × height).")]


@app.command()
def compress(
    files: Inputs,
    output: Output = None,
    iterations: Annotated[int | None, typer.Option(help="Layers to write: 8, or with a target up to all.")] = None,
    bpp: Annotated[float | None, typer.Option(help="Write as many layers as fit into so many bits a pixel.")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Write as many layers as fit into so many bytes.")] = None,
    psnr: Annotated[float | None, typer.Option(help="Write as few layers as reach this PSNR, in dB.")] = None,
    ms_ssim: Annotated[float | None, typer.Option(help="Write as few layers as reach this MS-SSIM.")] = None,
    model: Annotated[str, typer.Option(help="Released model, weights file, or run's folder.")] = DEFAULT_MODEL,
    device: Device = "cpu",
    max_pixels: LargestPicture = MAX_PIXELS,
    overwrite: Overwrite = False,
) -> None:
    """Compress images to .rnnc files.

    Any size and mode that Pillow reads. EXIF orientation is applied, colour profiles are converted to sRGB,
    transparency is flattened onto white, 16-bit samples become 8-bit.

    Examples:

        rnncodec compress photo.jpg

        rnncodec compress *.png -o compressed/ --bpp 0.5

        rnncodec compress - < photo.jpg > photo.rnnc
    """
    from rnncodec import compression  # with torch, which the other commands do without

    goal = Target(bpp, max_bytes, psnr, ms_ssim)
    coder = compression.compressor(model, device)

    def convert(source: str, target: str, content: bytes, step: Step) -> tuple[bytes, str]:
        pixels, notes = to_pixels(open_image(io.BytesIO(content), max_pixels))
        for note in notes:
            warn(source, note)
        data = coder.compress(pixels, iterations, step(iterations or coder.most_layers(goal)), goal)
        rate = bits_per_pixel(len(data), pixels)
        return data, f"{len(content):,} → {len(data):,} bytes, {rate:.3f} bpp"

    convert_all(files, output, SUFFIX, overwrite, convert)


@app.command()
def decompress(
    files: Inputs,
    output: Output = None,
    iterations: Annotated[int | None, typer.Option(help="Decode at most so many layers.")] = None,
    model: Annotated[str | None, typer.Option(help="The weights it was written with, if not released ones.")] = None,
    device: Device = "cpu",
    max_pixels: LargestPicture = MAX_PIXELS,
    overwrite: Overwrite = False,
) -> None:
    """Decompress .rnnc files to images: PNG, or what the output's ending says.

    A file that was cut or damaged gives the picture of its whole layers, and a warning.

    Examples:

        rnncodec decompress photo.rnnc

        rnncodec decompress photo.rnnc -o preview.jpg --iterations 2

        head -c 20000 photo.rnnc | rnncodec decompress - > preview.png
    """
    from rnncodec import compression  # with torch, which the other commands do without

    def convert(source: str, target: str, content: bytes, step: Step) -> tuple[bytes, str]:
        format_name = picture_format(target)
        file = compression.read_file(content, max_pixels)
        if file.damage:
            warn(source, file.damage)
        decoder = compression.compressor_for(file, model, device)
        layers = min(len(file.layers), iterations or len(file.layers))
        pixels = compression.last_picture(decoder, file, iterations, step(layers))
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format_name, quality=95)
        return buffer.getvalue(), f"{layers} of {file.header.layers} layers"

    convert_all(files, output, ".png", overwrite, convert)


@app.command()
def truncate(
    files: Inputs,
    max_bytes: Annotated[int, typer.Option(help="Keep as many layers as fit into so many bytes.")],
    output: Output = None,
    overwrite: Overwrite = False,
) -> None:
    """Cut .rnnc files to a size, without decoding them.

    Examples:

        rnncodec truncate photo.rnnc --max-bytes 20000 -o small.rnnc

        rnncodec truncate *.rnnc --max-bytes 20000 -o small/
    """

    def convert(source: str, target: str, content: bytes, step: Step) -> tuple[bytes, str]:
        kept = bitstream.truncate(content, max_bytes)
        return kept, f"{len(content):,} → {len(kept):,} bytes, {len(bitstream.read(kept).layers)} layers"

    convert_all(files, output, SUFFIX, overwrite, convert)


@app.command()
def info(
    files: Inputs,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each file.")] = False,
) -> None:
    """Show what .rnnc files hold, without decoding them.

    Examples:

        rnncodec info photo.rnnc

        rnncodec info --json *.rnnc
    """

    def show(source: str) -> None:
        described = describe(source, bitstream.read(read_input(source)))
        if as_json:
            print(json.dumps(described))
        else:
            Console(highlight=False).print(table(described))

    for_each(files, show)


@app.command()
def shards(
    sources: Annotated[list[str], typer.Argument(metavar="SRC...", help="Images, folders, globs, tars.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards and their manifest.")],
    min_size: Annotated[int, typer.Option(min=1, help="Leave out images with a shorter side, in pixels.")] = 32,
    downscale: Annotated[float, typer.Option(min=1.0, help="Divide the sides by this.")] = 1.0,
    shard_size: Annotated[int, typer.Option(min=1, help="Images in a shard.")] = 128,
) -> None:
    """Write images as WebDataset shards to train on.

    Examples:

        rnncodec shards ~/photos --out data/train --min-size 256

        rnncodec shards 'raw/*.png' more.tar --out data/train --downscale 2
    """
    from rnncodec.data.shards import write_shards

    with progress() as bar:
        task = bar.add_task("writing shards", total=None)

        def on_image(complaint: str, total: int) -> None:
            if complaint:
                log.print(f"[yellow]skipped[/] {escape(complaint)}", soft_wrap=True)
            bar.update(task, advance=1, total=total)

        manifest = write_shards(
            sources, out, min_size=min_size, downscale=downscale, shard_size=shard_size, on_image=on_image
        )
    log.print(
        f"{out}: {manifest.photos} images in {len(manifest.shards)} shards; "
        f"{manifest.too_small} too small, {len(manifest.broken)} broken"
    )


@app.command()
def report(
    sources: Annotated[list[Path], typer.Argument(metavar="RUN_OR_RESULT...", help="Folders, or curves' JSON files.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The page.")] = Path("report.html"),
    photos: Annotated[int, typer.Option(min=0, help="To show, of each result: the three worst, then others.")] = 3,
    plots: Annotated[Path | None, typer.Option(help="Folder for the curves as PNG and SVG, too.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare training runs and evaluations on one HTML page, which needs no network.

    Examples:

        rnncodec report outputs/evaluations/small-kodak -o report.html

        rnncodec report outputs/runs/* -o report.html --plots plots
    """
    with extra("evaluate"):
        from rnncodec.evaluation.report.page import render, report_curves
        from rnncodec.evaluation.report.plots import write_plots
        from rnncodec.evaluation.report.sources import read_sources

    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists already; use --overwrite to replace it")
    found = read_sources(sources)
    with progress() as bar:
        layers = sum(source.evaluation.about.iterations for source in found if source.evaluation)
        task = bar.add_task("compressing photos", total=2 * photos * layers)
        page = render(found, photos, lambda: bar.advance(task))
    write_output(str(output), page.encode())
    log.print(f"{output}: {len(page.encode()) / 1e6:.1f} MB", soft_wrap=True)
    if plots is not None:
        for path in write_plots(report_curves(found), plots):
            log.print(f"{path}", soft_wrap=True)


@app.command()
def ablation(
    sweeps: Annotated[list[Path], typer.Argument(metavar="SWEEP...", help="Folders of multiruns.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The document; what it says besides is kept.")],
) -> None:
    """Compare the runs of sweeps in tables, at equal steps and at equal time, in a Markdown document.

    Runs of one group come into one table, and those that differ in nothing but the seed into one row.

    Examples:

        rnncodec ablation outputs/sweeps/* -o docs/ABLATIONS.md
    """
    with extra("evaluate"):
        from rnncodec.evaluation.ablation import ablations, insert

    texts = ablations(sweeps)
    document = output.read_text() if output.exists() else "# Ablations\n"
    write_output(str(output), insert(texts, document).encode())
    log.print(f"{output}: {', '.join(texts)}", soft_wrap=True)


def convert_all(
    files: list[str],
    output: str | None,
    suffix: str,
    overwrite: bool,
    convert: Callable[[str, str, bytes, Step], tuple[bytes, str]],
) -> None:
    """Write what ``convert`` makes of each input, and a line on it.

    ``convert`` is given the input's name, the output's name, the input's content, and a Step; it returns the output's
    content and something to say of it.
    """
    into_folder = (
        output is not None and output != "-" and (len(files) > 1 or output.endswith("/") or Path(output).is_dir())
    )
    with progress() as bar:

        def one(source: str) -> None:
            target = target_of(source, output, suffix, into_folder)
            if target != "-" and Path(target).exists() and not overwrite:
                raise OutputError(f"{target} exists already; use --overwrite to replace it")
            content = read_input(source)
            task = bar.add_task(escape(Path(source).name), total=None)

            def step(total: int) -> Callable[[], None]:
                bar.update(task, total=total)
                return lambda: bar.advance(task)

            try:
                converted, remark = convert(source, target, content, step)
            finally:
                bar.remove_task(task)
            write_output(target, converted)
            log.print(f"{escape(source)} → {escape(target)}: {remark}", soft_wrap=True)

        for_each(files, one)


def for_each(files: list[str], action: Callable[[str], None]) -> None:
    """Run ``action`` on each input. One that fails is reported and does not keep the others from theirs; the exit code
    is the first failure's."""
    exit_code = 0
    for source in files:
        try:
            action(source)
        except RnncodecError as error:
            log.print(f"[red]error[/] {escape(source)}: {escape(str(error))}", soft_wrap=True)
            exit_code = exit_code or error.exit_code
    if exit_code:
        raise typer.Exit(exit_code)


def target_of(source: str, output: str | None, suffix: str, into_folder: bool) -> str:
    """Where the output for ``source`` goes: beside it unless ``output`` says otherwise."""
    if output is not None and not into_folder:
        return output
    if source == "-":
        if into_folder:
            raise OutputError("standard input has no name to use in a folder; name an output file")
        return "-"
    path = Path(source).with_suffix(suffix)
    return str(Path(output) / path.name if output is not None else path)


def read_input(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise InputError(error.strerror or str(error)) from None


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around imports that need an extra's packages: one that is missing becomes a ConfigurationError."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"this needs more packages ({error}): pip install 'rnncodec[{name}]'") from None


def write_output(target: str, content: bytes) -> None:
    """Write to a temporary file beside ``target``, then rename it, so that ``target`` is never half written."""
    if target == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{target} cannot be written: {error.strerror}") from None


def picture_format(target: str) -> str:
    """Pillow's name of the format that ``target``'s ending stands for; PNG for standard output.

    Raises:
        OutputError: Pillow writes no such format.
    """
    if target == "-":
        return "PNG"
    name = Image.registered_extensions().get(Path(target).suffix.lower())
    if name not in Image.SAVE:
        raise OutputError(f"{target}: no picture format has this ending; try .png or .jpg")
    return name


def describe(source: str, file: bitstream.File) -> dict[str, Any]:
    """What ``info`` tells of a file, as plain values."""
    header = file.header
    pixels = header.width * header.height
    return {
        "file": source,
        "version": bitstream.VERSION,
        "model": header.model.hex(),
        "model_name": released_name(header.model),
        "coder": header.coder,
        "width": header.width,
        "height": header.height,
        "bits_per_position": header.bits,
        "layers_written": header.layers,
        "damage": file.damage,
        "layers": [
            {
                "layer": t,
                "bytes": len(payload),
                "saved": 1 - len(payload) / header.raw_size,
                "ends_at": end,
                "bpp": 8 * end / pixels,
            }
            for t, (payload, end) in enumerate(zip(file.layers, file.ends, strict=True), start=1)
        ],
    }


def table(described: dict[str, Any]) -> Group:
    """`describe`'s values for the terminal."""
    layers = Table("layer", "bytes", "saved", "file ends at", "bpp")
    for column in layers.columns:
        column.justify = "right"
    for layer in described["layers"]:
        layers.add_row(
            str(layer["layer"]),
            f"{layer['bytes']:,}",
            f"{layer['saved']:.1%}",
            f"{layer['ends_at']:,}",
            f"{layer['bpp']:.3f}",
        )
    coder = bitstream.CODERS.get(described["coder"], "unknown")
    parts: list[Any] = [
        escape(described["file"]),
        f"  {described['width']}×{described['height']} pixels, {len(described['layers'])} of "
        f"{described['layers_written']} layers, coder {described['coder']} ({coder})",
        f"  format version {described['version']}, model {described['model']} "
        f"({described['model_name'] or 'not a released one'})",
        layers,
    ]
    if described["damage"]:
        parts.append(f"[yellow]warning[/] {described['damage']}")
    return Group(*parts)


def warn(source: str, message: str) -> None:
    log.print(f"[yellow]warning[/] {escape(source)}: {escape(message)}", soft_wrap=True)


def progress() -> Progress:
    """A progress bar on standard error, gone when it is done, and absent where nobody watches."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=log,
        transient=True,
        disable=not log.is_terminal,
    )


def main() -> None:
    """The entry point: every error that a user can mend ends in one line and an exit code."""
    try:
        app()
    except RnncodecError as error:
        log.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
