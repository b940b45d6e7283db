"""The photos of the report: after each layer, beside JPEG files of the same size and of the same quality."""

import base64
from bisect import bisect_left
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rnncodec.coding.targets import bits_per_pixel
from rnncodec.coding.torch_codec import TorchCodec, load_torch_codec
from rnncodec.distortion import ssimulacra2
from rnncodec.distortion.metrics import SMALLEST_SIDE, as_tensor, ms_ssim, psnr
from rnncodec.errors import ConfigurationError, DataError, RnncodecError
from rnncodec.evaluation.classical import CLASSICAL, written
from rnncodec.evaluation.measure import BEST, each_layer
from rnncodec.evaluation.photo_set import UNREADABLE, content_hash
from rnncodec.evaluation.results import Evaluation
from rnncodec.fileformat import bitstream
from rnncodec.pictures.pixels import Pixels, amplified_residual, read_pixels
from rnncodec.weights.weights_file import find_model

LONGEST = 768  # pixels on a side; of larger photos only the centre is shown, so that the page stays small
QUALITIES = range(1, 96)  # JPEG's
WORST = 3  # this many photos with the lowest quality are always shown
RATE = 0.25  # bits per pixel at which their quality is compared


@dataclass(frozen=True)
class Jpeg:
    """A JPEG file of a photo. ``likeness`` is its MS-SSIM, or its PSNR if the photo is too small for that."""

    quality: int
    content: bytes
    likeness: float


class JpegFiles:
    """The JPEG files of a photo. Each is made when it is first needed."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        self.at = lru_cache(maxsize=None)(self._make)

    def _make(self, quality: int) -> Jpeg:
        content = CLASSICAL["jpeg"].encode(self.pixels, quality)
        shown = CLASSICAL["jpeg"].decode(content)
        return Jpeg(quality, content, likeness(shown, self.pixels))

    @cached_property
    def sizes(self) -> list[int]:
        return [len(CLASSICAL["jpeg"].encode(self.pixels, quality)) for quality in QUALITIES]

    def of_size(self, size: int) -> Jpeg:
        """The file whose size is nearest to ``size`` bytes."""
        return self.at(min(QUALITIES, key=lambda quality: abs(self.sizes[quality - QUALITIES.start] - size)))

    def of_quality(self, wanted: float) -> Jpeg | None:
        """The smallest file with a likeness of at least ``wanted``; None if there is none."""
        index = bisect_left(QUALITIES, wanted, key=lambda quality: self.at(quality).likeness)
        return self.at(QUALITIES[index]) if index < len(QUALITIES) else None


def likeness(shown: Pixels, pixels: Pixels) -> float:
    """The MS-SSIM of a picture, or its PSNR in dB where `measured_by_ms_ssim` is false."""
    measure = ms_ssim if measured_by_ms_ssim(pixels) else psnr
    return min(float(measure(as_tensor(shown), as_tensor(pixels))), BEST)


def measured_by_ms_ssim(pixels: Pixels) -> bool:
    """Whether a photo is large enough for MS-SSIM."""
    return min(pixels.shape[:2]) >= SMALLEST_SIDE


def ranked(evaluation: Evaluation) -> dict[Path, float]:
    """The photos that are large enough for MS-SSIM, with their MS-SSIM at RATE, the lowest first. It is linear between
    layers; if the layers do not cover RATE, it is that of the nearest layer."""
    qualities = {}
    for image in evaluation.with_ms_ssim():
        rates, values = zip(*((point.bpp, point.ms_ssim) for point in evaluation.points(image)), strict=True)
        qualities[Path(image)] = float(np.interp(RATE, rates, values))
    return dict(sorted(qualities.items(), key=lambda item: item[1]))


def choose(evaluation: Evaluation, photos: int) -> list[Path]:
    """``photos`` photos to show: first some others, then the WORST with the lowest quality."""
    worst = list(ranked(evaluation))[:WORST]
    others = [path for path in map(Path, evaluation.about.measured) if path not in worst]
    return others[: max(0, photos - len(worst))] + worst[:photos]


def view(
    evaluation: Evaluation, photos: Collection[str], on_layer: Callable[[], object] = lambda: None
) -> tuple[list[dict[str, Any]], str | None]:
    """The photos of an evaluation that have the hashes ``photos``, in the form that the page reads; and a message if
    they, or the weights, cannot be read any more."""
    about = evaluation.about
    try:
        ours = load_torch_codec(str(find_model(about.model)))  # the file alone: a report imports no package
        if ours.identity.hex() != about.identity:
            raise ConfigurationError(f"{about.model} now holds other weights than those measured")
        chosen = [Path(image) for image in about.measured if about.images[image] in photos]
        for path in chosen:
            if content_hash(path) not in (about.images[str(path)], UNREADABLE):
                raise DataError(f"{path} is now another picture than the one measured")
        views = [
            {**view_photo(ours, path, about.iterations, about.effort, on_layer), "photo": about.images[str(path)]}
            for path in chosen
        ]
    except RnncodecError as error:
        return [], str(error)
    return views, None


def view_photo(
    ours: TorchCodec, path: Path, iterations: int, effort: int, on_layer: Callable[[], object]
) -> dict[str, Any]:
    """A photo after each layer: pictures as data URLs, and captions with sizes and qualities."""
    pixels = middle(read_pixels(path))
    unit = "MS-SSIM {:.4f}" if measured_by_ms_ssim(pixels) else "PSNR {:.2f} dB"
    jpegs = JpegFiles(pixels)
    file = bitstream.read(ours.compress(pixels, iterations, on_work=each_layer(on_layer), effort=effort))
    pictures = {"original": as_url(pixels)}
    layers = []
    for t, (end, shown) in enumerate(zip(file.ends, ours.decode(file), strict=True), start=1):
        quality = likeness(shown, pixels)
        pictures[f"p{t}"], pictures[f"r{t}"] = as_url(shown), as_url(amplified_residual(pixels, shown), quality=80)
        same_size, same_quality = jpegs.of_size(end), jpegs.of_quality(quality)
        for jpeg in (same_size, same_quality):
            if jpeg:
                pictures[f"j{jpeg.quality}"] = file_url(jpeg.content)
        layers.append(
            {
                "iteration": t,
                "bytes": end,
                "caption": caption(pixels, shown, end),
                "same_size": f"j{same_size.quality}",
                "same_size_caption": compare_quality(end, quality, same_size, unit),
                "same_quality": f"j{same_quality.quality}" if same_quality else None,
                "same_quality_caption": compare_size(end, quality, same_quality, unit),
            }
        )
        on_layer()
    height, width = pixels.shape[:2]
    return {"name": path.stem, "width": width, "height": height, "pictures": pictures, "layers": layers}


def middle(pixels: Pixels) -> Pixels:
    """The centre of a photo, with no side longer than LONGEST."""
    height, width = pixels.shape[:2]
    top, left = (max(0, (side - LONGEST) // 2) for side in (height, width))
    return np.ascontiguousarray(pixels[top : top + LONGEST, left : left + LONGEST])


def caption(pixels: Pixels, shown: Pixels, size: int) -> str:
    """The size of a file that decodes to ``shown``, and its quality."""
    picture, original = as_tensor(shown), as_tensor(pixels)
    parts = [size_in_words(size), f"{bits_per_pixel(size, pixels):.3f} bpp"]
    if measured_by_ms_ssim(pixels):
        parts.append(f"MS-SSIM {float(ms_ssim(picture, original)):.4f}")
    if ssimulacra2.available():
        parts.append(f"SSIMULACRA2 {ssimulacra2.ssimulacra2(picture, original):.1f}")
    return ", ".join([*parts, f"PSNR {float(psnr(picture, original)):.2f} dB"])


def compare_size(size: int, quality: float, jpeg: Jpeg | None, unit: str) -> str:
    """A sentence that compares a file of ``size`` bytes with a JPEG of the same likeness. ``unit`` is the format of the
    likeness."""
    if jpeg is None:
        return f"No JPEG reaches {unit.format(quality)}."
    theirs = len(jpeg.content)
    words = f"{size_in_words(size)} against {size_in_words(theirs)} of JPEG: {share(size, theirs)}"
    if jpeg.quality == QUALITIES.start:
        words += f" (JPEG's lowest quality; it has {unit.format(jpeg.likeness)} already)"
    return words + "."


def compare_quality(size: int, quality: float, jpeg: Jpeg, unit: str) -> str:
    """A sentence that compares a file of ``size`` bytes with the JPEG of the nearest size."""
    return (
        f"{size_in_words(size)} against {size_in_words(len(jpeg.content))} of JPEG: "
        f"{unit.format(quality)} against {unit.format(jpeg.likeness)}."
    )


def share(size: int, other: int) -> str:
    """The difference of ``size`` from ``other`` in per cent, in words."""
    percent = round(100 * (size - other) / other)
    if percent == 0:
        return "the same size"
    return f"{abs(percent)} % {'smaller' if percent < 0 else 'larger'}"


def size_in_words(size: int) -> str:
    """Bytes as KB of 1,000."""
    return f"{size / 1000:.1f} KB"


def as_url(pixels: Pixels, quality: int = 93) -> str:
    """A picture as a data URL: a JPEG without chroma subsampling, of a quality at which losses are not visible."""
    return file_url(written(pixels, "JPEG", quality=quality, subsampling="4:4:4", optimize=True))


def file_url(content: bytes) -> str:
    """A JPEG file as a data URL."""
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
