"""Rate and distortion of one picture, from the bytes of real files and the 8-bit pixels they decode to."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from rnncodec.coding.targets import bits_per_pixel
from rnncodec.coding.torch_codec import OnWork, TorchCodec
from rnncodec.distortion import ssimulacra2
from rnncodec.distortion.metrics import SMALLEST_SIDE, as_tensor, ms_ssim, psnr, psnr_hvs
from rnncodec.evaluation.classical import ClassicalCodec
from rnncodec.fileformat import bitstream
from rnncodec.pictures.pixels import Pixels

P = ParamSpec("P")
T = TypeVar("T")

BEST = 100.0  # dB; the value for a picture without any error, so that means stay finite


@dataclass(frozen=True)
class Point:
    """One file of one picture.

    ``setting`` is the iteration, or what a classical codec was asked for; ``bytes`` and ``bpp`` count the whole file;
    ``psnr`` and ``psnr_hvs`` are in dB; ``ms_ssim`` is None for a picture that is too small for it, and ``ssimulacra2``
    where its package is not installed; the times are the seconds to write and to decode this file.
    """

    setting: float
    bytes: int
    bpp: float
    psnr: float
    ms_ssim: float | None
    psnr_hvs: float
    ssimulacra2: float | None
    encoding_time: float
    decoding_time: float


def measure(torch_codec: TorchCodec, pixels: Pixels, iterations: int, effort: int = 0) -> list[Point]:
    """Write one file of ``iterations`` layers, decode it, and measure the picture after each layer.

    A file of t layers is the beginning of a file of more layers, so that the encoder has to run only once. The
    encoding time of t layers is that from the start until their work is done. With ``effort``, and in large pictures,
    the encoder does the work for all layers before it writes the first.
    """
    start = time.perf_counter()
    encoded: list[float] = []
    note_time = each_layer(lambda: encoded.append(time.perf_counter() - start))
    content = torch_codec.compress(pixels, iterations, on_work=note_time, effort=effort)
    file = bitstream.read(content)
    decoded = timed(torch_codec.decode(file))
    return [
        point(t, end, pixels, shown, encoding_time, decoding_time)
        for t, (end, encoding_time, (shown, decoding_time)) in enumerate(
            zip(file.ends, encoded, decoded, strict=True), start=1
        )
    ]


def each_layer(action: Callable[[], object]) -> OnWork:
    """What calls ``action`` whenever `TorchCodec.compress` has done the work of another layer."""
    done, called = 0.0, 0

    def on_work(layers: float) -> None:
        nonlocal done, called
        done += layers
        while called + 1 <= done + 1e-6:  # shares of a layer add up to 1 but for rounding
            called += 1
            action()

    return on_work


def measure_classical(codec: ClassicalCodec, pixels: Pixels) -> list[Point]:
    """Write, decode and measure a file at each of the codec's settings."""
    points = []
    for setting in codec.settings:
        content, encoding_time = clocked(codec.encode, pixels, setting)
        shown, decoding_time = clocked(codec.decode, content)
        points.append(point(setting, len(content), pixels, shown, encoding_time, decoding_time))
    return points


def point(
    setting: float, size: int, pixels: Pixels, shown: Pixels, encoding_time: float, decoding_time: float
) -> Point:
    """The Point of a file of ``size`` bytes that decodes to ``shown``; ``pixels`` is the original."""
    picture, original = as_tensor(shown), as_tensor(pixels)
    shorter = min(pixels.shape[:2])
    return Point(
        setting,
        size,
        bits_per_pixel(size, pixels),
        min(float(psnr(picture, original)), BEST),
        float(ms_ssim(picture, original)) if shorter >= SMALLEST_SIDE else None,
        min(float(psnr_hvs(picture, original)), BEST),
        ssimulacra2.ssimulacra2(picture, original) if ssimulacra2.available() else None,
        encoding_time,
        decoding_time,
    )


def timed(pictures: Iterator[T]) -> Iterator[tuple[T, float]]:
    """Each of ``pictures``, and the seconds that it and all pictures before it took."""
    total = 0.0
    while True:
        start = time.perf_counter()
        try:
            picture = next(pictures)
        except StopIteration:
            return
        total += time.perf_counter() - start
        yield picture, total


def clocked(action: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> tuple[T, float]:
    """The result of ``action``, and the seconds that it took."""
    start = time.perf_counter()
    result = action(*arguments, **options)
    return result, time.perf_counter() - start
