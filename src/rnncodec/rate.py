"""The rate of a file, and targets of size or quality, which decide how many layers are written. Needs no torch."""

import math
from dataclasses import dataclass

from rnncodec.errors import ConfigurationError
from rnncodec.imaging import Pixels


def bits_per_pixel(size: int, pixels: Pixels) -> float:
    """The rate, in bits per pixel, of a file of ``size`` bytes that holds the picture ``pixels`` ``[H, W, 3]``."""
    return 8 * size / (pixels.shape[0] * pixels.shape[1])


@dataclass(frozen=True)
class Target:
    """At most one of: a largest file, in bits a pixel or in bytes; a least quality, PSNR in dB or MS-SSIM.

    For a size, as many layers are written as fit. For a quality, as few are written as reach it. If the number of
    layers is not given, there are at most as many as the network was trained for.

    Raises:
        ConfigurationError: more than one is given, or one that is not positive.
    """

    bpp: float | None = None
    max_bytes: int | None = None
    psnr: float | None = None
    ms_ssim: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) > 1:
            raise ConfigurationError(f"only one target can be met at a time, not {' and '.join(given)}")
        for name, value in given.items():
            if not value > 0:
                raise ConfigurationError(f"{name} must be positive, not {value}")

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())

    def largest(self, pixels: Pixels) -> int | None:
        """The most bytes that the file of this picture may have; None if no size is the target."""
        if self.bpp is not None:
            return math.floor(self.bpp * pixels.shape[0] * pixels.shape[1] / 8)
        return self.max_bytes
