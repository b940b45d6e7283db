"""The commands of the codec: compress, decompress, truncate, info."""

import io
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from rnncodec.cli.app import app
from rnncodec.cli.convert import Convert, Converted, Step, convert_all
from rnncodec.cli.files import check_output, read_chunks, read_input, run_each, warn
from rnncodec.cli.info import describe, table
from rnncodec.cli.options import (
    Device,
    Inputs,
    Jobs,
    KeepTime,
    MaxBytes,
    MaxPixels,
    Output,
    Overwrite,
    Strip,
)
from rnncodec.cli.plan import SUFFIX, Kind
from rnncodec.coding.targets import Target, bits_per_pixel
from rnncodec.errors import ConfigurationError, FormatError, ImageError, OutputError
from rnncodec.fileformat import bitstream
from rnncodec.fileformat.metadata import NO_METADATA
from rnncodec.pictures.limits import MAX_PIXELS, MOST_EFFORT, too_large
from rnncodec.pictures.pillow_metadata import encode, metadata_of, picture_of, resized
from rnncodec.pictures.pixels import is_image_name, open_image, to_pixels_and_alpha
from rnncodec.pictures.tiles import Region
from rnncodec.pictures.transparency import pack_alpha
from rnncodec.terminal import Terminal, counted
from rnncodec.weights.released import DEFAULT_MODEL

ICONS = ("ICO", "ICNS")  # formats that Pillow writes in other sizes than that of the picture
SOFTWARE = "rnncodec"  # what PNG files that we write name as their origin


@app.command()
def compress(
    files: Inputs,
    output: Output = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            help="Layers to write, from 1 to 255. Default: 8, or fewer if the network was trained for fewer; with a "
            "target below, as many as it needs."
        ),
    ] = None,
    bpp: Annotated[
        float | None, typer.Option(help="Largest file, in bits per pixel: write as many layers as fit.")
    ] = None,
    max_bytes: MaxBytes = None,
    psnr: Annotated[
        float | None, typer.Option(help="Lowest quality, PSNR in dB: write as few layers as reach it.")
    ] = None,
    ms_ssim: Annotated[
        float | None, typer.Option(help="Lowest quality, MS-SSIM from 0 to 1: write as few layers as reach it.")
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Lowest quality from 1 to 100, the same on every photo: write as few layers as reach it. It is "
            "MS-SSIM in dB, 5 + 0.15 × quality: 33 is an MS-SSIM of 0.90, 67 of 0.97, 100 of 0.99.",
        ),
    ] = None,
    effort: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_EFFORT,
            help="Search for better codes: a smaller file that decodes as fast. A layer takes 4, 10 or 20 tries at "
            "levels 1, 2 and 3, each longer than the layer at level 0.",
        ),
    ] = 0,
    model: Annotated[
        str,
        typer.Option(help="A packaged network (light, light-mse), a weights file, a run's folder, or hf://OWNER/NAME."),
    ] = DEFAULT_MODEL,
    device: Device = "cpu",
    max_pixels: MaxPixels = MAX_PIXELS,
    strip: Strip = False,
    skip_larger: Annotated[
        bool, typer.Option("--skip-larger", help="Write no output that would be larger than its input.")
    ] = False,
    jobs: Jobs = 1,
    keep_time: KeepTime = True,
    overwrite: Overwrite = False,
) -> None:
    """Compress images to .rnnc files.

    Any size and mode that Pillow reads. EXIF orientation is applied, colour profiles are converted to sRGB,
    transparency is kept, 16-bit samples become 8-bit. EXIF and XMP metadata are kept, without the
    thumbnail, unless --strip is given.

    Of a folder all images are compressed, those in its folders too, to outputs with their whole names:
    photos/a.jpg to photos/a.jpg.rnnc. When the command is run again, it goes on with those that are missing, failed,
    or have become newer than their outputs.

    Examples:

        rnncodec compress photo.jpg

        rnncodec compress photos/ -o compressed/ --jobs 4

        rnncodec compress *.png -o compressed/ --bpp 0.5

        rnncodec compress photo.jpg --quality 70

        rnncodec compress photo.jpg --effort 2

        rnncodec compress - < photo.jpg > photo.rnnc
    """
    goal = Target(bpp, max_bytes, psnr, ms_ssim, quality)

    load = partial(compressing, model, device, goal, iterations, max_pixels, strip, effort, skip_larger)
    convert_all(files, output, Kind(SUFFIX, is_image_name, begins_as_ours), overwrite, load, keep_time, jobs)


def compressing(
    model: str,
    device: str,
    goal: Target,
    iterations: int | None,
    max_pixels: int,
    strip: bool,
    effort: int,
    skip_larger: bool,
) -> Convert:
    """The function that compresses a file with these options."""
    from rnncodec.coding.torch_codec import load_torch_codec  # imports torch

    codec = load_torch_codec(model, device)

    def convert(source: str, target: str, step: Step) -> Converted:
        content = read_input(source)
        image = open_image(io.BytesIO(content), max_pixels)
        pixels, alpha, notes = to_pixels_and_alpha(image)
        metadata, left_out = (NO_METADATA, []) if strip else metadata_of(image, pixels)
        packed, flattened = pack_alpha(alpha)
        metadata = replace(metadata, alpha=packed)
        del image  # its memory
        for note in notes + left_out + flattened:
            warn(source, note)
        layers = iterations or codec.most_layers(goal)
        if complaint := too_large(pixels.shape[1], pixels.shape[0], max_pixels, layers):
            raise ImageError(complaint)
        on_work = step(layers)
        data = codec.compress(pixels, iterations, target=goal, metadata=metadata, on_work=on_work, effort=effort)
        rate = bits_per_pixel(len(data), pixels)
        larger = len(data) > len(content)
        remark = f"{len(content):,} → {len(data):,} bytes, {rate:.3f} bpp" + (
            ", larger than its input" if larger else ""
        )
        return Converted(None if larger and skip_larger else data, remark, larger)

    return convert


@app.command()
def decompress(
    files: Inputs,
    output: Output = None,
    layers: Annotated[int | None, typer.Option(help="Decode at most this many layers.")] = None,
    max_side: Annotated[
        int | None,
        typer.Option(
            min=1, help="Make a smaller picture, of at most this many pixels a side, from the layers that it needs."
        ),
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Decode this part: upper left corner and size, in pixels.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Only needed for files of weights that are not released: a weights file, a run's folder, or "
            "hf://OWNER/NAME. With a folder that `rnncodec export` wrote, files are decoded without torch."
        ),
    ] = None,
    device: Device = "cpu",
    max_pixels: MaxPixels = MAX_PIXELS,
    jobs: Jobs = 1,
    keep_time: KeepTime = True,
    overwrite: Overwrite = False,
) -> None:
    """Decompress .rnnc files to images: PNG, or the format that the ending of the output names.

    EXIF and XMP metadata are written where the format holds them. A file that was cut or damaged gives the picture of
    the layers that are left whole, and a warning. Folders are treated as by compress: a.jpg.rnnc gives a.jpg.png.

    Examples:

        rnncodec decompress photo.rnnc

        rnncodec decompress photo.rnnc -o preview.jpg --layers 2

        rnncodec decompress photos/ -o thumbnails/ --max-side 256

        rnncodec decompress photo.rnnc -o part.png --region 400,300,640,480

        head -c 20000 photo.rnnc | rnncodec decompress - > preview.png
    """
    part = None if region is None else parse_region(region)

    load = partial(decompressing, model, device, layers, part, max_pixels, max_side)
    convert_all(files, output, Kind(".png", is_ours, is_written_by_us), overwrite, load, keep_time, jobs)


def decompressing(
    model: str | None, device: str, layers: int | None, part: Region | None, max_pixels: int, max_side: int | None
) -> Convert:
    """The function that decompresses a file with these options."""
    from rnncodec.api import decoder_for
    from rnncodec.coding.base import check_size, first_layers  # with the entropy coder
    from rnncodec.coding.small_pictures import layers_for

    def convert(source: str, target: str, step: Step) -> Converted:
        format_name = picture_format(target)
        reader = bitstream.Reader(read_chunks(source))
        most = reader.header.layers if layers is None else min(reader.header.layers, layers)
        if max_side is not None:
            shown = part or Region(0, 0, reader.header.width, reader.header.height)
            most = min(most, layers_for(reader.header, max(shown.width, shown.height) / max_side))
        check_size(reader.header, max_pixels, most)
        decoder = decoder_for(reader.header, model, device)
        payloads = iter(reader)
        pixels = decoder.picture(reader.header, first_layers(payloads, most if max_side else layers), part, step(most))
        for _ in payloads:  # to the metadata
            pass
        if pixels is None:
            raise FormatError(f"nothing can be decoded: {reader.damage}")
        if reader.damage:
            warn(source, reader.damage)
        image, damaged = picture_of(pixels, reader.metadata, reader.header.width, reader.header.height, part)
        if max_side is not None:
            image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
        picture, notes = encode(image, format_name, resized(reader.metadata, *image.size), SOFTWARE)
        for note in damaged + notes:
            warn(source, note)
        return Converted(picture, f"{min(most, len(reader.ends))} of {counted(reader.header.layers, 'layer')}")

    return convert


@app.command()
def truncate(
    files: Inputs,
    max_bytes: Annotated[int, typer.Option(help="Largest file, in bytes: keep as many layers as fit.")],
    output: Output = None,
    strip: Strip = False,
    keep_time: KeepTime = True,
    overwrite: Overwrite = False,
) -> None:
    """Cut .rnnc files to a size, without decoding them. Metadata count and are kept, unless --strip is given.

    Examples:

        rnncodec truncate photo.rnnc --max-bytes 20000 -o small.rnnc

        rnncodec truncate *.rnnc --max-bytes 20000 -o small/
    """

    def convert(source: str, target: str, step: Step) -> Converted:
        read = []

        def chunks() -> Iterator[bytes]:
            for chunk in read_chunks(source):
                read.append(chunk)
                yield chunk

        file = bitstream.Reader(chunks()).file()
        content = b"".join(read)
        fits = len(content) <= max_bytes and not file.damage and not strip
        kept = content if fits else bitstream.truncate(file, max_bytes, strip)
        if file.damage:
            warn(source, file.damage)
        layers = len(bitstream.read(kept).layers)
        return Converted(kept, f"{len(content):,} → {len(kept):,} bytes, {counted(layers, 'layer')}")

    convert_all(files, output, Kind(SUFFIX, is_ours, begins_as_ours), overwrite, lambda: convert, keep_time)


@app.command()
def info(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="Files; - is standard input.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Show the cost of a network: a released model, a weights file, or a run's folder."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object for each file, and for the network.")
    ] = False,
) -> None:
    """Show what .rnnc files hold, without decoding them, or what a network costs.

    In the table of a file's layers, "saved" is how much shorter a layer is than its raw bits, and "file ends at" the
    bytes of the file if it is cut after this layer; bpp is of these bytes.

    Examples:

        rnncodec info photo.rnnc

        rnncodec info --json *.rnnc

        rnncodec info --model light
    """
    check_output("-", overwrite=False)
    if not files and model is None:
        raise ConfigurationError("nothing to show: name a file, or a network with --model")
    if model is not None:
        from rnncodec.network.cost import cost  # with torch, which files do not need
        from rnncodec.weights.weights_file import load_model

        config = load_model(model).config
        needs = f"; needs the package {' and '.join(config.packages)}" if config.packages else ""
        described = {"model": model} | asdict(cost(config)) | {"packages": config.packages}
        print(json.dumps(described) if as_json else f"{model}: {cost(config)}{needs}")

    def show(source: str) -> None:
        described = describe(source, bitstream.Reader(read_chunks(source)).file())
        if as_json:
            print(json.dumps(described))
        else:
            Terminal(highlight=False).print(table(described))

    _, exit_code = run_each(files or [], show)
    if exit_code:
        raise typer.Exit(exit_code)


def is_ours(path: Path) -> bool:
    """Whether a file has the ending of our files."""
    return path.suffix.lower() == SUFFIX


def begins_as_ours(path: Path) -> bool:
    """Whether a file begins as our files do."""
    with path.open("rb") as file:
        return file.read(len(bitstream.MAGIC)) == bitstream.MAGIC


def is_written_by_us(path: Path) -> bool:
    """Whether a picture says that `decompress` wrote it."""
    try:
        with Image.open(path) as image:
            return image.info.get("Software") == SOFTWARE
    except Exception:  # the decoders of Pillow raise many kinds of errors
        return False


def parse_region(text: str) -> Region:
    """The region that ``X,Y,W,H`` names. Raises ConfigurationError if it is not of this form."""
    try:
        return Region(*map(int, text.split(",")))
    except (TypeError, ValueError):
        raise ConfigurationError(f"--region needs four whole numbers, X,Y,W,H, not {text}") from None


def picture_format(target: str) -> str:
    """Pillow's name of the format that the ending of ``target`` names; PNG for standard output, and for a device or a
    named pipe without an ending.

    Raises:
        OutputError: Pillow writes no such format.
    """
    path = Path(target)
    if target == "-" or (not path.suffix and path.exists() and not path.is_file()):
        return "PNG"
    name = Image.registered_extensions().get(Path(target).suffix.lower())
    if name not in Image.SAVE:
        raise OutputError(f"{target}: no picture format has this ending; try .png or .jpg")
    if name in ICONS:
        raise OutputError(f"{target}: files of icons hold pictures of other sizes; try .png or .jpg")
    return name
