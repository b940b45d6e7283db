"""Targets of size or quality: they decide how many layers are written. Needs no torch, except to measure a quality."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rnncodec.errors import ConfigurationError, extra
from rnncodec.pictures.pixels import Pixels
from rnncodec.terminal import counted

PIECES = 4  # of a sample, on each side
ROUNDING = 1e-6  # of a byte: a rate in bits per pixel may be rounded

# The scale of quality: a step is 0.15 dB of MS-SSIM, -10 log10(1 - MS-SSIM). So 1 is an MS-SSIM of 0.70, 33 of 0.90, 67
# of 0.97, and 100 of 0.99.
QUALITIES = 1, 100
STEP, ZERO = 0.15, 5.0  # dB


def bits_per_pixel(size: int, pixels: Pixels) -> float:
    """The rate, in bits per pixel, of a file of ``size`` bytes that holds the picture ``pixels`` ``[H, W, 3]``."""
    return 8 * size / (pixels.shape[0] * pixels.shape[1])


@dataclass(frozen=True)
class Target:
    """At most one of: a largest file, in bits a pixel or in bytes; a least quality, PSNR in dB, MS-SSIM, or a number
    from 1 to 100 (see `quality_of`).

    For a size, as many layers are written as fit. For a quality, as few are written as reach it. If the number of
    layers is not given, there are at most as many as the network was trained for.

    Raises:
        ConfigurationError: more than one is given, or one that is not positive and finite, or not on its scale.
    """

    bpp: float | None = None
    max_bytes: int | None = None
    psnr: float | None = None
    ms_ssim: float | None = None
    quality: int | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) > 1:
            raise ConfigurationError(f"only one target can be met at a time, not {' and '.join(given)}")
        for name, value in given.items():
            if not 0 < value < math.inf:
                raise ConfigurationError(f"{name} must be positive and finite, not {value}")
        if self.ms_ssim is not None and self.ms_ssim > 1:
            raise ConfigurationError(f"ms_ssim must be at most 1, not {self.ms_ssim}")
        least, most = QUALITIES
        if self.quality is not None and not least <= self.quality <= most:
            raise ConfigurationError(f"quality must be from {least} to {most}, not {self.quality}")

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())

    def largest(self, pixels: Pixels) -> int | None:
        """The most bytes that the file of this picture may have; None if no size is the target."""
        if self.bpp is not None:
            return math.floor(self.bpp * pixels.shape[0] * pixels.shape[1] / 8 + ROUNDING)
        return self.max_bytes


@dataclass(frozen=True)
class Quality:
    """The least quality that a target asks for, and how it is measured.

    Args:
        least: the quality that the file must reach.
        name: of the measure, for messages.
        measure: the quality of a decoded picture, from its pixels and those of the original.
        whole: the quality of a picture in parts, from the quality of each part and its number of pixels. It is exact
            for PSNR. For MS-SSIM, and the scale made of it, it is the mean.
    """

    least: float
    name: str
    measure: Callable[[Pixels, Pixels], float]
    whole: Callable[[Sequence[float], Sequence[int]], float]

    @classmethod
    def of(cls, target: Target, pixels: Pixels) -> "Quality | None":
        """What ``target`` asks for ``pixels``; None if it is no quality.

        Raises:
            ConfigurationError: a package is missing, or the picture is too small for MS-SSIM.
        """
        if target.psnr is None and target.ms_ssim is None and target.quality is None:
            return None
        with extra("evaluate", "measuring quality"):
            from rnncodec.distortion import metrics

        def psnr(shown: Pixels, original: Pixels) -> float:
            return float(metrics.psnr(metrics.as_tensor(shown), metrics.as_tensor(original)))

        def ms_ssim(shown: Pixels, original: Pixels) -> float:
            return float(metrics.ms_ssim(metrics.as_tensor(shown), metrics.as_tensor(original)))

        def scale(shown: Pixels, original: Pixels) -> float:
            side = metrics.SMALLEST_SIDE
            return quality_of(ms_ssim(mirrored(shown, side), mirrored(original, side)))

        if target.quality is not None:
            return cls(target.quality, "on the scale of quality", scale, whole_quality)
        if target.psnr is not None:
            return cls(target.psnr, "dB PSNR", psnr, whole_psnr)
        assert target.ms_ssim is not None
        if min(pixels.shape[:2]) < metrics.SMALLEST_SIDE:
            raise ConfigurationError(f"MS-SSIM needs a picture of at least {metrics.SMALLEST_SIDE} pixels a side")
        return cls(target.ms_ssim, "MS-SSIM", ms_ssim, whole_mean)


class Draft:
    """The layers of a file while it is written, up to those that its target asks for.

    Args:
        target: of the file; without one ``most`` layers are written.
        pixels: the picture.
        most: how many layers there may be.
        write: makes the file of the payloads of its layers.
        metadata_size: how many bytes of the file are metadata.

    Raises:
        ConfigurationError: the target cannot be measured.
    """

    def __init__(
        self,
        target: Target,
        pixels: Pixels,
        most: int,
        write: Callable[[list[bytes]], bytes],
        metadata_size: int,
    ) -> None:
        self.pixels = pixels
        self.most = most
        self.quality = Quality.of(target, pixels)
        self._largest = target.largest(pixels)
        self._write = write
        self._metadata_size = metadata_size
        self.restart()

    def restart(self) -> None:
        """Begin again, without layers."""
        self.done = False  # no other layer is wanted
        self._payloads: list[bytes] = []
        self._content = b""  # the file
        self._best = -math.inf  # quality

    def add(self, payload: bytes) -> None:
        """Add the next layer, if the file is not too large with it.

        Raises:
            ConfigurationError: the file is too large with its first layer.
        """
        content = self._write([*self._payloads, payload])
        if self._largest is not None and len(content) > self._largest:
            if not self._payloads:
                raise ConfigurationError(self._too_large(len(content)))
            self.done = True
            return
        self._content = content
        self._payloads.append(payload)
        self.done = len(self._payloads) == self.most

    def reach(self, quality: float) -> None:
        """Take note of the quality of the picture with the layers so far."""
        assert self.quality is not None
        self._best = max(self._best, quality)
        self.done = self.done or self._best >= self.quality.least

    def finished(self) -> bytes:
        """The file. Raises ConfigurationError if its quality is too low."""
        if self.quality is not None and self._best < self.quality.least:
            reached = math.floor(self._best * 1e4) / 1e4  # never up to what was asked for
            raise ConfigurationError(
                f"with {counted(self.most, 'layer')} the picture reaches {reached:g} {self.quality.name}, not "
                f"{self.quality.least:g}; that is the nearest to it"
            )
        return self._content

    def _too_large(self, size: int) -> str:
        """What is wrong if one layer makes a file of ``size`` bytes."""
        message = (
            f"one layer takes {size:,} bytes ({bits_per_pixel(size, self.pixels):.3f} bpp), more than the "
            f"{self._largest:,} allowed; it is the least that can be written"
        )
        if self._metadata_size:
            message += (
                f"; {self._metadata_size:,} of them are metadata, which --strip (in Python strip=True) leaves out"
            )
        return message


def whole_psnr(parts: Sequence[float], sizes: Sequence[int]) -> float:
    """The PSNR of a picture in dB, from the PSNR of each of its parts and their numbers of pixels."""
    error = whole_mean([10.0 ** (-part / 10.0) for part in parts], sizes)
    return -10.0 * math.log10(error) if error > 0.0 else math.inf


def whole_mean(parts: Sequence[float], sizes: Sequence[int]) -> float:
    """The mean over the pixels of a picture, from the mean of each of its parts and their numbers of pixels."""
    return float(np.average(parts, weights=sizes))


def quality_of(ms_ssim: float) -> float:
    """An MS-SSIM on the scale of quality: (dB - ZERO) / STEP, with dB = -10 log10(1 - MS-SSIM)."""
    return (-10.0 * math.log10(1.0 - ms_ssim) - ZERO) / STEP if ms_ssim < 1.0 else math.inf


def ms_ssim_of(quality: float) -> float:
    """The MS-SSIM of a value on the scale of quality."""
    return 1.0 - 10.0 ** (-(ZERO + STEP * quality) / 10.0)


def whole_quality(parts: Sequence[float], sizes: Sequence[int]) -> float:
    """The quality of a picture, from the quality of each of its parts and their numbers of pixels."""
    return quality_of(whole_mean([ms_ssim_of(part) for part in parts], sizes))


def mirrored(pixels: Pixels, side: int) -> Pixels:
    """A picture, continued by its mirror images to at least ``side`` pixels a side."""
    below, right = (max(0, side - length) for length in pixels.shape[:2])
    return np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="symmetric")


def spread_sample(pixels: Pixels, side: int) -> Pixels:
    """A picture of at most ``side`` pixels a side, put together from PIECES × PIECES pieces of a larger picture, which
    are spread evenly over it."""
    height, width = (max(1, min(length, side) // PIECES) for length in pixels.shape[:2])
    rows = np.linspace(0, pixels.shape[0] - height, PIECES).astype(int)
    columns = np.linspace(0, pixels.shape[1] - width, PIECES).astype(int)
    return np.block([[[pixels[y : y + height, x : x + width]] for x in columns] for y in rows])
