"""The baselines: codecs in common use, as Pillow writes them."""

import importlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFile, features

from rnncodec.errors import ConfigurationError, extra
from rnncodec.pictures.pixels import Pixels


@dataclass(frozen=True)
class ClassicalCodec:
    """A file format of Pillow, and how it is written.

    ``settings`` are qualities, or bits per pixel, chosen so that the files of photos have from 0.05 to at least 2 bpp.
    ``options`` returns the options of Pillow's ``save`` for a setting. ``needs`` is the feature of Pillow, or the
    plugin, that the format needs.
    """

    title: str
    format: str
    settings: tuple[float, ...]
    options: Callable[[float], dict[str, Any]]
    needs: str

    def check(self) -> None:
        """Raises ConfigurationError if this installation of Pillow cannot write the format."""
        if self.needs == PLUGIN:
            with extra("jxl", "JPEG XL"):
                importlib.import_module(PLUGIN)  # registers the format
        elif not features.check(self.needs):
            raise ConfigurationError(f"this Pillow was built without {self.title} ({self.needs})")

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """The file of ``pixels``, uint8 ``[H, W, 3]``."""
        self.check()
        return written(pixels, self.format, **self.options(setting))

    def decode(self, content: bytes) -> Pixels:
        """The pixels of a file."""
        self.check()
        return np.asarray(Image.open(io.BytesIO(content), formats=[self.format]).convert("RGB"))


def written(pixels: Pixels, format: str, **options: Any) -> bytes:
    """The file that Pillow writes of ``pixels``, uint8 ``[H, W, 3]``."""
    # An optimised JPEG file must fit into Pillow's buffer, and that of noise is larger than Pillow expects.
    ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, pixels.size)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


PLUGIN = "pillow_jxl"

JPEG_QUALITIES = (1, 3, 5, 8, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 85, 90, 95)
WEBP_QUALITIES = (0, 1, 3, 5, 8, 12, 16, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95)
AVIF_QUALITIES = (0, 4, 8, 12, 16, 20, 25, 30, 35, 40, 50, 60, 70, 80, 85, 90)
JXL_QUALITIES = (0, 3, 6, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95)
JPEG2000_RATES = (0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5)  # bpp


def jpeg(subsampling: str, progressive: bool = False) -> Callable[[float], dict[str, Any]]:
    """The options of a JPEG file with optimised Huffman tables."""
    return lambda quality: {
        "quality": int(quality),
        "subsampling": subsampling,
        "optimize": True,
        "progressive": progressive,
    }


CLASSICAL = {
    "jpeg": ClassicalCodec("JPEG 4:2:0", "JPEG", JPEG_QUALITIES, jpeg("4:2:0"), "jpg"),
    "jpeg444": ClassicalCodec("JPEG 4:4:4", "JPEG", JPEG_QUALITIES, jpeg("4:4:4"), "jpg"),
    # Larger than sequential JPEG at low rates, smaller at high rates.
    "jpeg_progressive": ClassicalCodec(
        "JPEG 4:2:0 progressive", "JPEG", JPEG_QUALITIES, jpeg("4:2:0", progressive=True), "jpg"
    ),
    "webp": ClassicalCodec(
        "WebP", "WEBP", WEBP_QUALITIES, lambda quality: {"quality": int(quality), "method": 6}, "webp"
    ),
    "jpeg2000": ClassicalCodec(
        "JPEG 2000",
        "JPEG2000",
        JPEG2000_RATES,
        # mct is the colour transform, which is off in Pillow by default.
        lambda bpp: {"quality_mode": "rates", "quality_layers": [24.0 / bpp], "irreversible": True, "mct": 1},
        "jpg_2000",
    ),
    "avif": ClassicalCodec(
        "AVIF 4:2:0",
        "AVIF",
        AVIF_QUALITIES,
        # One thread, because the bytes depend on the number of threads.
        lambda quality: {"quality": int(quality), "subsampling": "4:2:0", "speed": 6, "max_threads": 1},
        "avif",
    ),
    "jxl": ClassicalCodec(
        "JPEG XL",
        "JXL",
        JXL_QUALITIES,
        lambda quality: {"quality": int(quality), "effort": 7, "lossless": False},
        PLUGIN,
    ),
}


def classical(name: str) -> ClassicalCodec:
    """The codec of this name.

    Raises:
        ConfigurationError: there is no such codec, or it is not installed.
    """
    if name not in CLASSICAL:
        raise ConfigurationError(f"unknown baseline '{name}'; choose from {', '.join(CLASSICAL)}")
    CLASSICAL[name].check()
    return CLASSICAL[name]
