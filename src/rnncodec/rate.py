"""Rate targets: how many layers of a picture are written."""

import math
from dataclasses import dataclass

from rnncodec.errors import ConfigurationError
from rnncodec.imaging import Pixels


@dataclass(frozen=True)
class Target:
    """At most one of: a largest file, in bits a pixel or in bytes; a least quality, PSNR in dB or MS-SSIM.

    A size is met by as many layers as fit, a quality by as few as reach it, both of at most as many as the network was
    trained for, where nobody says how many.

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
        """The bytes that the file of this picture may have; None where that is no target."""
        if self.bpp is not None:
            return math.floor(self.bpp * pixels.shape[0] * pixels.shape[1] / 8)
        return self.max_bytes

    def quality(self, pixels: Pixels, shown: Pixels) -> tuple[float, float, str] | None:
        """The quality of what is shown of this picture, the least that is wanted, and its name and unit for messages;
        None where that is no target.

        Raises:
            ConfigurationError: it cannot be measured here, or not on a picture so small.
        """
        if self.psnr is None and self.ms_ssim is None:
            return None
        try:
            from rnncodec.evaluation import metrics
            from rnncodec.evaluation.measure import as_tensor
        except ModuleNotFoundError as error:
            raise ConfigurationError(f"measuring quality needs {error.name}: pip install 'rnncodec[train]'") from None
        if self.psnr is not None:
            return float(metrics.psnr(as_tensor(shown), as_tensor(pixels))), self.psnr, "dB PSNR"
        assert self.ms_ssim is not None
        if min(pixels.shape[:2]) <= 160:
            raise ConfigurationError("MS-SSIM needs a picture of more than 160 pixels a side")
        return float(metrics.ms_ssim(as_tensor(shown), as_tensor(pixels))), self.ms_ssim, "MS-SSIM"
