"""The folder of an evaluation.

``evaluation.json`` describes what was measured, and ``per_image.csv`` holds every measurement. ``NAME.json`` is the
mean curve of a codec and ``summary.md`` has the tables, both over the images that all codecs have coded.
"""

import csv
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from rnncodec.atomic_file import is_file_name, naming, replacing
from rnncodec.errors import DataError, PackageError
from rnncodec.evaluation.classical import CLASSICAL
from rnncodec.evaluation.curves import DECODING_MACS, Curve, finite, mean_curve, read_curve, write_curve
from rnncodec.evaluation.measure import Point
from rnncodec.evaluation.summary import Summary, point_table, summarize, summary_table
from rnncodec.fileformat.bitstream import MAX_LAYERS
from rnncodec.fileformat.json_input import read_json
from rnncodec.network.config import CodecConfig
from rnncodec.network.cost import Cost, cost
from rnncodec.network.options import is_whole
from rnncodec.pictures.limits import MOST_EFFORT
from rnncodec.terminal import counted, printable

ABOUT = "evaluation.json"
MEASUREMENTS = "per_image.csv"
SUMMARY = "summary.md"
JOB_RESULTS, JOB_FAILURE = "results.txt", "failure.txt"  # in a job of a multirun: where they are, or why not

Measurements = dict[tuple[str, str], list[Point]]  # by codec and the SHA-256 of the image file


@dataclass
class About:
    """What was measured: the codec ``name`` with its weights, and the ``images``, by their paths, with the SHA-256 of
    their files; ``dataset`` is their name. ``broken`` maps the name of an image to the reason why it could not be
    measured. ``anchors`` are the names of published curves. ``earlier`` says which measurements were taken from an
    earlier call."""

    name: str
    model: str
    identity: str
    network: dict[str, Any]
    training: dict[str, Any]
    iterations: int
    images: dict[str, str]
    dataset: str
    baselines: list[str]
    compare_to: str | None
    broken: dict[str, str] = field(default_factory=dict)
    anchors: list[str] = field(default_factory=list)
    effort: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    earlier: str = ""

    def same_measurements(self, other: "About") -> bool:
        """Whether measurements of ``other`` are valid for this evaluation too, for images that both have."""
        own, others = ((each.name, each.identity, each.iterations, each.effort) for each in (self, other))
        return own == others

    def of_older_weights(self, other: "About", folder: Path) -> bool:
        """Whether this describes ``folder`` when the model of ``other`` had other weights."""
        same_model = self.model == other.model or Path(other.model) in folder.resolve().parents
        return (
            same_model
            and self.identity != other.identity
            and replace(self, identity=other.identity).same_measurements(other)
        )

    def check(self) -> None:
        """Raises ValueError if a field, which may come from somebody else's file, is not of its type."""
        names = [self.name, *as_list(self.baselines), *as_list(self.anchors)]
        holds = {
            "name, baselines and anchors must be names of files": all(map(is_file_name, names)),
            "model and identity must be texts": isinstance(self.model, str) and isinstance(self.identity, str),
            "network and training must be objects": isinstance(self.network, dict)
            and isinstance(self.training, dict)
            and isinstance(self.training.get("options", {}), dict),
            f"iterations must be from 1 to {MAX_LAYERS}": is_whole(self.iterations, 1, MAX_LAYERS),
            "images must map paths to hashes": is_text_map(self.images),
            "versions must map names to texts": is_text_map(self.versions),
            "dataset and earlier must be texts": isinstance(self.dataset, str) and isinstance(self.earlier, str),
            "compare_to must be a text": self.compare_to is None or isinstance(self.compare_to, str),
            "broken must map names to reasons": is_text_map(self.broken),
            f"effort must be from 0 to {MOST_EFFORT}": is_whole(self.effort, 0, MOST_EFFORT),
        }
        for rule, kept in holds.items():
            if not kept:
                raise ValueError(rule)

    @property
    def cost(self) -> Cost:
        """The cost of the network."""
        return cost(CodecConfig.from_stored(self.network))

    @property
    def measured(self) -> list[str]:
        """The images that could be measured."""
        return [image for image in self.images if Path(image).name not in self.broken]


def is_text_map(value: Any) -> bool:
    """Whether ``value`` is an object of texts."""
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def as_list(value: Any) -> list[Any]:
    """``value``, a list. Raises TypeError if it is none."""
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


@dataclass(frozen=True)
class Evaluation:
    """The content of the folder. ``curves`` are those of the codec, then of the baselines, then of the anchors."""

    about: About
    measurements: Measurements
    curves: list[Curve]
    summaries: list[Summary]

    def points(self, image: str) -> list[Point]:
        """The Points of the codec for one of ``about.images``."""
        return self.measurements[self.about.name, self.about.images[image]]

    def with_ms_ssim(self) -> list[str]:
        """The images that are large enough for MS-SSIM."""
        return [image for image in self.about.measured if self.points(image)[0].ms_ssim is not None]

    @property
    def summary(self) -> Summary:
        """The summary of the codec."""
        return self.summaries[0]


def complete(about: About, measurements: Measurements, anchors: Sequence[Curve]) -> Evaluation:
    """An Evaluation with the curves and summaries of the measurements and of ``anchors``.

    Raises:
        DataError: no image could be measured.
    """
    photos = [about.images[image] for image in about.measured]
    if not photos:
        raise DataError(f"not one of {len(about.images)} images could be measured: {'; '.join(about.broken.values())}")
    described = f"mean of {counted(len(photos), 'image')}; measured by rnncodec"
    curves = []
    for codec in (about.name, *about.baselines):
        title = CLASSICAL[codec].title if codec in CLASSICAL else f"rnncodec, model {about.identity}"
        curves.append(mean_curve(codec, f"{title}, {described}", [measurements[codec, photo] for photo in photos]))
    steps = curves[0].results["setting"]
    with suppress(PackageError):  # results are shown without the packages of the network
        curves[0].results[DECODING_MACS] = [about.cost.decoding(int(t)) for t in steps]
    curves += anchors
    baseline = next((curve for curve in curves if curve.name == about.compare_to), None)
    return Evaluation(
        about, measurements, curves, [summarize(curve, baseline, curve.name in about.anchors) for curve in curves]
    )


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write all files of the evaluation to ``folder``."""
    write_about(evaluation.about, folder)
    write_measurements(evaluation.about, evaluation.measurements, folder)
    for curve in evaluation.curves:
        write_curve(curve, folder / f"{curve.name}.json")
    with replacing(folder / SUMMARY) as temporary:
        temporary.write_text(printable(summary_text(evaluation)))


def summary_text(evaluation: Evaluation) -> str:
    """The tables as Markdown."""
    about = evaluation.about
    baseline = about.compare_to if any(curve.name == about.compare_to for curve in evaluation.curves) else None
    anchors = f"; published curves: {', '.join(about.anchors)}" if about.anchors else ""
    earlier = f" {about.earlier}." if about.earlier else ""
    small = len(about.measured) - len(evaluation.with_ms_ssim())
    if small:
        earlier += f" {small} of them are too small for MS-SSIM: its means, and their rates, are of the others."
    return (
        f"Mean of {counted(len(about.measured), 'image')} ({about.dataset}); bpp of whole files{anchors}.{earlier}\n\n"
        f"{summary_table(evaluation.summaries, baseline)}\n{about.name}: {about.cost}.\n\n"
        f"{point_table(evaluation.curves[0])}"
        f"\n{fall_in_words(evaluation)}\n"
    )


def fall_in_words(evaluation: Evaluation) -> str:
    """The largest fall of MS-SSIM from one layer to the next, in words. More layers should never make a picture
    worse."""
    about = evaluation.about
    falls = [
        (before.ms_ssim - after.ms_ssim, Path(image).name, int(after.setting))
        for image in about.measured
        for before, after in pairwise(evaluation.points(image))
        if before.ms_ssim is not None and after.ms_ssim is not None
    ]
    if not falls:
        return "No image is large enough for MS-SSIM."
    fall, image, layer = max(falls)
    if fall <= 0:
        return "MS-SSIM falls on no image from one layer to the next."
    return f"Largest fall of MS-SSIM from one layer to the next: {fall:.4f} ({image}, layer {layer})."


def read_evaluation(folder: Path) -> Evaluation:
    """The evaluation that `write_evaluation` wrote. Raises DataError if it is missing or not finished."""
    about = read_about(folder)
    if about is None:
        raise DataError(f"{folder}: not the folder of an evaluation: it has no {ABOUT}")
    anchors = [read_curve(folder / f"{name}.json") for name in about.anchors]
    try:
        return complete(about, read_measurements(folder), anchors)
    except KeyError as error:
        raise DataError(f"{folder}: the evaluation is not finished: it lacks {error}; run it again") from None
    except (ValueError, TypeError) as error:  # unequal numbers of points, a value that only some have, or no network
        raise DataError(f"{folder}: its measurements do not fit together ({error})") from None


def write_about(about: About, folder: Path) -> None:
    with replacing(folder / ABOUT) as temporary:
        temporary.write_text(json.dumps(asdict(about), indent=2) + "\n")  # in ASCII: names of files may be no text


def read_about(folder: Path) -> About | None:
    """None if there is no evaluation in ``folder``. Raises DataError if its file cannot be read."""
    try:
        about = About(**read_json(folder / ABOUT))
        if isinstance(about.images, list):
            raise ValueError("an older version wrote it; run evaluate.py again, in another folder")
        about.check()
        return about
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:  # TypeError: an unknown or a missing field
        raise DataError(f"{folder / ABOUT}: cannot be read ({error})") from None


COLUMNS = ["codec", "image", "sha256", *(field.name for field in fields(Point))]
TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}  # names of files may be no text
OPTIONAL = ("ms_ssim", "ssimulacra2")  # of these an image may have no value, at any setting


def write_measurements(about: About, measurements: Measurements, folder: Path) -> None:
    """Write MEASUREMENTS anew."""
    with replacing(folder / MEASUREMENTS) as temporary, temporary.open("w", newline="", **TEXT) as file:
        csv.writer(file, lineterminator="\n").writerow(COLUMNS)
        for key, points in measurements.items():
            file.write(_lines(about, key, points))


def append_measurement(about: About, key: tuple[str, str], points: list[Point], folder: Path) -> None:
    """Add one measurement to MEASUREMENTS."""
    path = folder / MEASUREMENTS
    with naming(path), path.open("a", newline="", **TEXT) as file:
        file.write(_lines(about, key, points))


def _lines(about: About, key: tuple[str, str], points: list[Point]) -> str:
    """The lines of a measurement. The name of the image is for readers; it is known by its hash."""
    codec, photo = key
    name = next((Path(path).name for path, known in about.images.items() if known == photo), "")
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([codec, name, photo, *astuple(point)] for point in points)
    return lines.getvalue()


def read_measurements(folder: Path) -> Measurements:
    """The measurements in ``folder``; empty if there is no file. A last line that was not written to its end, because
    the process was killed, is left out. Raises DataError if the file cannot be read."""
    path = folder / MEASUREMENTS
    measurements: Measurements = {}
    try:
        text = path.read_text(**TEXT)
        for row in csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline="")):
            key = row.pop("codec"), row.pop("sha256")
            del row["image"]
            values: dict[str, Any] = {
                name: finite(value) if value or name not in OPTIONAL else None for name, value in row.items()
            }
            values["bytes"] = int(row["bytes"])
            if values["bpp"] <= 0:
                raise ValueError(f"a file of {values['bpp']} bits a pixel")
            measurements.setdefault(key, []).append(Point(**values))
        for points in measurements.values():
            for name in OPTIONAL:
                if len({getattr(point, name) is None for point in points}) > 1:
                    raise ValueError(f"an image has a value of {name} at some settings only")
    except FileNotFoundError:
        return {}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error!r})") from None
    return measurements
