"""The time and memory of encoding and decoding photos, beside the codecs of Pillow, as Markdown tables.

python benchmarks/speed.py path/to/kodak --first 8 --megapixels 12
python benchmarks/speed.py path/to/kodak --megapixels 6 12 25 100 --layers 2 --bpp --others     # is the time linear?

Each model is measured with 1, 2, 4 and 8 layers, and with as many as fit into 0.5 bpp; the others at the setting that
comes nearest to 0.5 bpp. With --megapixels pictures of this size, made of these photos, are measured too, on the
largest number of threads.

Seconds are means over the photos, without the start of the process, which loads the network. The memory is the most
that the process had, without what it had after the start. Thousands of multiply–accumulates (kMAC) are those of the
network, for each pixel, to encode and to decode. The last table has the difference of pixels where a file is decoded in
bfloat16 and in float32.
"""

import argparse
import math
import os
import platform
import resource
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from rnncodec.coding.targets import Target, bits_per_pixel
from rnncodec.errors import ConfigurationError
from rnncodec.evaluation.classical import classical
from rnncodec.fileformat import bitstream
from rnncodec.pictures.folders import find_images
from rnncodec.pictures.pixels import Pixels, read_pixels
from rnncodec.weights.released import DEFAULT_MODEL

LAYERS = (1, 2, 4, 8)
OTHERS = ("jpeg", "webp", "avif", "jxl")
NEAR = 0.5  # bpp
TRIAL, TRIALS = 768, 8  # pixels a side, and pictures, on which a setting for this rate is chosen
SHAPE = (3, 4)  # rows to columns of a picture that is made


class Row(NamedTuple):
    """What was measured of one codec at one setting: bits a pixel, seconds, megabytes, kMAC to encode and to decode."""

    setting: str
    bpp: float
    encode: float
    decode: float
    memory: float
    macs: str


class Timed(NamedTuple):
    """The results of an action, and the seconds that they took."""

    result: list
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder")
    parser.add_argument("--first", type=int, help="only so many of its images")
    parser.add_argument("--megapixels", type=float, nargs="*", default=[], help="measure pictures of these sizes too")
    parser.add_argument("--layers", type=int, nargs="+", default=LAYERS)
    parser.add_argument("--bpp", type=float, nargs="*", default=[NEAR], help="measure files of these sizes")
    parser.add_argument("--others", nargs="*", default=OTHERS, help="the codecs that are measured beside ours")
    parser.add_argument("--model", nargs="+", default=[DEFAULT_MODEL])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    paths = find_images(options.images)[: options.first]
    photos = [read_pixels(path) for path in paths]
    print(f"{platform.machine()}, {os.cpu_count()} cores; {len(photos)} photos.")
    measure("photos", photos, options.threads, options)
    for size in options.megapixels:
        measure(f"{size:g} megapixels", [mosaic(photos, size)], [max(options.threads)], options)
    print("\n| model | layers | largest difference | mean difference | PSNR lost (dB) |")
    print("| --- |" + " ---: |" * 4)
    for model in options.model:
        for layers, largest, mean, lost in alone(max(options.threads), precisions, model, photos):
            print(f"| {model} | {layers} | {largest:.0f} | {mean:.3f} | {lost:+.4f} |", flush=True)


def measure(title: str, pictures: list[Pixels], threads: list[int], options: argparse.Namespace) -> None:
    """Print the table of ours and of the others on these pictures."""
    print(f"\n| {title} | threads | setting | bpp | ratio | encode (s) | decode (s) | memory (MB) | kMAC |")
    print("| --- |" + " ---: |" * 8)
    for model in options.model:
        for number in threads:
            show(model, number, alone(number, ours, model, pictures, options.layers, options.bpp))
    for name in options.others:
        try:
            rows = alone(1, others, name, pictures)
        except ConfigurationError as error:
            print(f"| {name}: {error} |")
            continue
        show(name, 1, rows)


def show(name: str, threads: int, rows: list[Row]) -> None:
    for row in rows:
        print(
            f"| {name} | {threads} | {row.setting} | {row.bpp:.3f} | {24 / row.bpp:.0f} | {row.encode:.2f} | "
            f"{row.decode:.2f} | {row.memory:.0f} | {row.macs} |",
            flush=True,
        )


def alone(threads: int, action: Callable[..., list], *arguments: object) -> list:
    """The result of ``action`` in a process of its own, on so many threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # the new process inherits it
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(action, *arguments).result()


def ours(model: str, pictures: list[Pixels], layers: list[int], rates: list[float]) -> list[Row]:
    from rnncodec.coding.torch_codec import TorchCodec
    from rnncodec.network.cost import cost
    from rnncodec.weights.weights_file import load_model

    codec = load_model(model)
    torch_codec, macs = TorchCodec(codec), cost(codec.config)
    file = bitstream.read(
        torch_codec.compress(pictures[0][:128, :128], 2)
    )  # the first run prepares what later ones use
    torch_codec.picture(file.header, file.layers)
    before, rows = peak(), []
    targets: list[tuple[str, int | None, Target]] = [
        (f"{number} layer{'s' if number > 1 else ''}", number, Target()) for number in layers
    ]
    targets += [(f"--bpp {rate:g}", None, Target(bpp=rate)) for rate in rates]
    for setting, iterations, target in targets:
        encode = timed(torch_codec.compress, [(pixels, iterations) for pixels in pictures], target=target)
        files = [bitstream.read(content) for content in encode.result]
        decode = timed(torch_codec.picture, [(file.header, file.layers) for file in files])
        written = float(np.mean([file.header.layers for file in files]))
        kilo = f"{written * macs.encoder + (written - 1) * macs.decoder:.0f} / {written * macs.decoder:.0f}"
        rows.append(row(setting, encode, decode, pictures, peak() - before, kilo))
    return rows


def others(name: str, pictures: list[Pixels]) -> list[Row]:
    codec = classical(name)
    codec.check()
    sample = [pixels[:TRIAL, :TRIAL] for pixels in pictures[:TRIALS]]
    rates = {
        setting: mean_rate([codec.encode(pixels, setting) for pixels in sample], sample) for setting in codec.settings
    }
    setting = min(rates, key=lambda each: abs(rates[each] - NEAR))
    before = peak()
    encode = timed(codec.encode, [(pixels, setting) for pixels in pictures])
    decode = timed(codec.decode, [(content,) for content in encode.result])
    return [row(f"{setting:g}", encode, decode, pictures, peak() - before, "–")]


def row(setting: str, encode: Timed, decode: Timed, pictures: list[Pixels], memory: float, macs: str) -> Row:
    count = len(pictures)
    return Row(
        setting, mean_rate(encode.result, pictures), encode.seconds / count, decode.seconds / count, memory, macs
    )


def precisions(model: str, photos: list[Pixels]) -> list[tuple[int, float, float, float]]:
    """For each number of layers: the largest and the mean difference, in 1/255, of the pictures that bfloat16 and
    float32 give of a file written in bfloat16; and the mean PSNR that float32 gives more."""
    import torch

    from rnncodec.coding.torch_codec import TorchCodec
    from rnncodec.weights.weights_file import load_model

    codec = load_model(model)
    fast, exact = (TorchCodec(codec, dtype=dtype) for dtype in (torch.bfloat16, torch.float32))
    found: list[list[tuple[float, float, float]]] = [[] for _ in range(max(LAYERS))]
    for pixels in photos:
        file = bitstream.read(fast.compress(pixels, max(LAYERS)))
        for t, (first, second) in enumerate(zip(fast.decode(file), exact.decode(file), strict=True)):
            difference = np.abs(first.astype(int) - second)
            found[t].append((difference.max(), difference.mean(), psnr(second, pixels) - psnr(first, pixels)))
    rows = []
    for layers in LAYERS:
        largest, mean, lost = zip(*found[layers - 1], strict=True)
        rows.append((layers, float(max(largest)), float(np.mean(mean)), float(np.mean(lost))))
    return rows


def mean_rate(contents: list[bytes], pictures: list[Pixels]) -> float:
    """The mean bits per pixel of files."""
    rates = [bits_per_pixel(len(content), pixels) for content, pixels in zip(contents, pictures, strict=True)]
    return float(np.mean(rates))


def psnr(shown: Pixels, original: Pixels) -> float:
    return float(10 * np.log10(255**2 / np.mean((shown.astype(float) - original) ** 2)))


def mosaic(photos: list[Pixels], megapixels: float) -> Pixels:
    """A picture of so many million pixels: the photos, twice as large, side by side."""
    unit = (megapixels * 1e6 / math.prod(SHAPE)) ** 0.5
    height, width = (round(unit * side) for side in SHAPE)
    canvas = Image.new("RGB", (width, height))
    x = y = row = 0
    index = 0
    while y < height:
        photo = Image.fromarray(photos[index % len(photos)])
        photo = photo.resize((2 * photo.width, 2 * photo.height), Image.Resampling.BICUBIC)
        canvas.paste(photo, (x, y))
        x, row, index = x + photo.width, max(row, photo.height), index + 1
        if x >= width:
            x, y, row = 0, y + row, 0
    return np.asarray(canvas)


def timed(action: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], **options: Any) -> Timed:
    """The results of ``action`` for each tuple of ``arguments``, and the seconds that all of them took."""
    start = time.perf_counter()
    results = [action(*each, **options) for each in arguments]
    return Timed(results, time.perf_counter() - start)


def peak() -> float:
    """The most memory that this process had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
