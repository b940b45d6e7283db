"""Rate–distortion curves, and their files in CompressAI's JSON schema, which its tools and ours can exchange."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rnncodec.atomic_file import replacing
from rnncodec.distortion.metrics import decibels
from rnncodec.errors import DataError
from rnncodec.evaluation.measure import Point
from rnncodec.fileformat.json_input import read_json

METRICS = {  # CompressAI's keys, and our own where it has none
    "ms-ssim-rgb": "MS-SSIM",
    "ms-ssim-db": "MS-SSIM (dB)",
    "ssimulacra2": "SSIMULACRA2",
    "psnr-rgb": "PSNR (dB)",
    "psnr-hvs-y": "PSNR-HVS (dB)",
}
DECIBELS = "ms-ssim-db"  # -10 log10(1 - MS-SSIM): not in files, for it follows from MS-SSIM
DECODING_MACS = "decoding_kmac"  # thousands of multiply–accumulates a pixel to decode a file, of a network
LARGEST = 1e12  # sums of such numbers are finite
FIELDS = {  # the fields of a Point, by their keys in the files
    "setting": "setting",
    "bpp": "bpp",
    "psnr-rgb": "psnr",
    "ms-ssim-rgb": "ms_ssim",
    "psnr-hvs-y": "psnr_hvs",
    "ssimulacra2": "ssimulacra2",
    "encoding_time": "encoding_time",
    "decoding_time": "decoding_time",
}


@dataclass(frozen=True)
class Curve:
    """The results of a codec at each of its settings: lists of equal length. ``bpp`` is always there; METRICS,
    ``setting``, ``encoding_time``, ``decoding_time`` and DECODING_MACS may be."""

    name: str
    description: str
    results: dict[str, list[float]]

    def points(self, metric: str, against: str = "bpp") -> list[tuple[float, float]]:
        """Pairs of bpp, or of the result that ``against`` names, and ``metric``, in rising order; none if one of them
        was not measured. Means over fewer images than the curve's have rates of their own; see `mean_curve`."""
        if metric == DECIBELS:
            points = self.points("ms-ssim-rgb", against)
            return [(rate, decibels(similarity)) for rate, similarity in points]
        rates = self.results.get(f"{against} of {metric}", self.results.get(against, []))
        return sorted(zip(rates, self.results.get(metric, []), strict=False))


def mean_curve(name: str, description: str, images: Sequence[Sequence[Point]]) -> Curve:
    """The mean over images at each setting; ``images`` holds the Points of each, all at the same settings.

    A measure that no image has is left out. For one that some images lack, because they are too small, ``bpp of
    MEASURE`` holds the mean rates of those that have it.
    """
    results: dict[str, list[float]] = {}
    for key, field in FIELDS.items():
        having = [points for points in images if getattr(points[0], field) is not None]
        if having:
            results[key] = means(having, field)
        if having and len(having) < len(images):
            results[f"bpp of {key}"] = means(having, "bpp")
    return Curve(name, description, results)


def means(images: Sequence[Sequence[Point]], field: str) -> list[float]:
    """The mean of a field over ``images`` at each setting."""
    return [fmean(getattr(point, field) for point in points) for points in zip(*images, strict=True)]


def write_curve(curve: Curve, path: Path) -> None:
    content = {"name": curve.name, "description": curve.description, "results": curve.results}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_curve(path: Path) -> Curve:
    """The curve in a file of CompressAI's schema.

    Raises:
        DataError: the file cannot be read, or is not of that schema.
    """
    try:
        content = read_json(path)
        results = {str(key): [finite(value) for value in values] for key, values in content["results"].items()}
        curve = Curve(str(content["name"]), str(content.get("description", "")), results)
        rates = results["bpp"]
        if not rates or min(rates) <= 0:
            raise ValueError("rates must be above 0")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a curve in CompressAI's JSON schema ({error!r})") from None
    for key in METRICS:
        if key in results and len(results[key]) != len(rates):
            raise DataError(f"{path}: {len(rates)} rates but {len(results[key])} values of {key}")
    return curve


def finite(value: Any) -> float:
    """The number that ``value`` stands for. Raises ValueError if it is not finite, or larger than any result."""
    try:
        number = float(value)
    except OverflowError:  # a whole number without end
        number = math.inf
    if not -LARGEST < number < LARGEST:
        raise ValueError(f"{value} is not a number below {LARGEST:g}")
    return number


def read_anchors(folder: Path) -> list[Curve]:
    """The curves of every JSON file in ``folder``, each named after its file, because the names inside the files are
    not unique.

    Raises:
        DataError: there is none, or one cannot be read.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise DataError(f"no .json files in {folder}")
    curves = [read_curve(path) for path in paths]
    return [Curve(path.stem, curve.description, curve.results) for path, curve in zip(paths, curves, strict=True)]
