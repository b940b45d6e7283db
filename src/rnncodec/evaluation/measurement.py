"""An evaluation: every image by every codec, in several processes. An evaluation that was interrupted can be
continued: what is measured is known by the content of the image file, not by its name."""

import functools
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from rnncodec.coding.torch_codec import TorchCodec, load_torch_codec
from rnncodec.coding.workers import Workers
from rnncodec.cores import available_cores
from rnncodec.distortion.psnr_hvs import BLOCK
from rnncodec.errors import ConfigurationError, DataError, ImageError, RnncodecError
from rnncodec.evaluation.classical import CLASSICAL, classical
from rnncodec.evaluation.curves import Curve, read_anchors
from rnncodec.evaluation.measure import Point, measure, measure_classical
from rnncodec.evaluation.photo_set import content_hash
from rnncodec.evaluation.results import (
    About,
    Evaluation,
    Measurements,
    append_measurement,
    complete,
    read_about,
    read_measurements,
    write_about,
    write_evaluation,
    write_measurements,
)
from rnncodec.pictures.limits import MOST_EFFORT
from rnncodec.pictures.pixels import Pixels, read_pixels
from rnncodec.terminal import log


@dataclass(frozen=True)
class EvaluationOptions:
    """The options of an evaluation.

    Args:
        model: a released model's name, a weights file, or a run's folder.
        images: the image files to measure.
        dataset: the name of these photos; see `rnncodec.evaluation.photo_set`.
        name: the name of the codec in tables and plots, and of the file of its curve.
        iterations: how many iterations of the codec; None means as many as it was trained for.
        effort: of the encoder; see `rnncodec.coding.code_search`.
        baselines: names in CLASSICAL.
        anchors: a folder of published curves.
        compare_to: the baseline or anchor that BD-rates are computed against. There are none if it is None, or if no
            curve has this name.
        workers: the number of processes; None means one for each core. Each process has one thread. So the results do
            not depend on their number.
        device: the device that the network runs on.
    """

    model: str
    images: list[Path]
    dataset: str
    name: str
    iterations: int | None
    baselines: tuple[str, ...]
    anchors: Path | None
    compare_to: str | None
    workers: int | None
    device: str
    effort: int = 0


@dataclass(frozen=True)
class Job:
    """One image by one codec: ``codec`` is the name of a baseline, or None for the network, whose weights have the
    ``identity``."""

    image: Path
    codec: str | None
    model: str
    identity: str
    device: str
    iterations: int
    effort: int


def evaluate(options: EvaluationOptions, folder: Path, on_progress: Callable[[int, int, str], object]) -> Evaluation:
    """Measure everything that is not measured yet in ``folder``, and write the results there. The network is measured
    anew where ``folder`` holds measurements of older weights of the same model, as of a run that has gone on.

    ``on_progress(done, total, complaint)`` is called after each job. The complaint says why an image could not be
    measured, and is "" otherwise.

    Raises:
        RnncodecError: an option cannot work, ``folder`` holds measurements of something else, or every image is broken.
    """
    about = check(options)
    measured_codec(options.model, options.device, about.identity)  # keeps these weights for this process
    before = read_about(folder)
    anew = before is not None and before.of_older_weights(about, folder)
    if anew:
        log.print(
            f"{folder} holds measurements of other weights of {options.model}, which are replaced", soft_wrap=True
        )
    elif before is not None and not before.same_measurements(about):
        raise ConfigurationError(
            f"{folder} holds measurements of '{before.name}' (model {before.identity}, {before.iterations} iterations, "
            f"effort {before.effort}) and not of '{about.name}' (model {about.identity}, {about.iterations}, "
            f"effort {about.effort}); choose another folder=…"
        )
    elif before is not None and (device := before.versions.get("device", options.device)) != options.device:
        anew = True
        log.print(
            f"{folder} holds measurements of the network on {device}, which are replaced: on {options.device} it takes "
            "other times",
            soft_wrap=True,
        )
    anchors = read_anchors(options.anchors) if options.anchors else []
    about.anchors = [anchor.name for anchor in anchors]
    check_names([options.name, *options.baselines], anchors)
    folder.mkdir(parents=True, exist_ok=True)

    measurements = {
        (codec, photo): points
        for (codec, photo), points in read_measurements(folder).items()
        if [point.setting for point in points] == expected_settings(codec, about) and not (anew and codec == about.name)
    }
    jobs = [
        Job(image, codec, options.model, about.identity, options.device, about.iterations, options.effort)
        for image, photo in zip(options.images, about.images.values(), strict=True)
        for codec in (None, *options.baselines)
        if (codec or about.name, photo) not in measurements
    ]
    total = len(options.images) * (1 + len(options.baselines))
    done = total - len(jobs)
    about.earlier = earlier_in_words(done, total, before, about)
    write_measurements(about, measurements, folder)
    write_about(about, folder)
    on_progress(done, total, "")
    with closing(outcomes(jobs, options)) as finished:  # so that its processes end where this is interrupted
        for job, outcome in finished:
            done += 1
            if isinstance(outcome, str):
                news = "" if job.image.name in about.broken else f"{job.image}: {outcome}"
                about.broken[job.image.name] = outcome
                on_progress(done, total, news)
            else:
                key = job.codec or options.name, content_hash(job.image)
                measurements[key] = outcome
                append_measurement(about, key, outcome, folder)
                on_progress(done, total, "")
    evaluation = complete(about, in_order(measurements, about), anchors)
    write_evaluation(evaluation, folder)
    return evaluation


def expected_settings(codec: str, about: About) -> list[float]:
    """The settings that a finished measurement of ``codec`` has."""
    return list(CLASSICAL[codec].settings) if codec in CLASSICAL else list(range(1, about.iterations + 1))


WITH = ", with "


def earlier_in_words(count: int, total: int, before: About | None, now: About) -> str:
    """Which measurements were taken from an earlier call, in words; "" if there are none. Other versions that the
    earlier call has named, of measurements from one before it, are named again."""
    if not count or before is None:
        return ""
    known = before.earlier.partition(WITH)[2]
    changed = [f"{name} {old}" for name, old in before.versions.items() if old != now.versions.get(name)]
    others = dict.fromkeys([*(known.split(", ") if known else []), *changed])
    by = WITH + ", ".join(others) if others else ""
    return f"{count} of {total} measurements are from an earlier call{by}"


def check(options: EvaluationOptions) -> About:
    """Check the options, and describe the evaluation. Raises RnncodecError if an option has a wrong value."""
    ours = load_torch_codec(options.model, options.device)
    if options.workers is not None and options.workers < 1:
        raise ConfigurationError(f"workers must be at least 1, not {options.workers}")
    if options.iterations is not None and options.iterations < 1:
        raise ConfigurationError(f"iterations must be at least 1, not {options.iterations}")
    if not 0 <= options.effort <= MOST_EFFORT:
        raise ConfigurationError(f"effort must be from 0 to {MOST_EFFORT}, not {options.effort}")
    if not options.images:
        raise DataError("there are no images to measure")
    for baseline in options.baselines:
        classical(baseline)
    counts = Counter(image.name for image in options.images)
    twice = {name for name, count in counts.items() if count > 1}
    if twice:
        raise DataError(f"several images have the same name: {', '.join(sorted(twice))}")
    return About(
        name=options.name,
        model=str(Path(options.model).resolve()) if Path(options.model).exists() else options.model,
        identity=ours.identity.hex(),
        network={**vars(ours.codec.config)},
        training=ours.codec.training_info,
        iterations=options.iterations or ours.trained_iterations,
        images={str(image.resolve()): content_hash(image) for image in options.images},
        dataset=options.dataset,
        baselines=list(options.baselines),
        compare_to=options.compare_to,
        effort=options.effort,
        versions={name: version(name) for name in ("rnncodec", "torch", "pillow")}
        | {"device": options.device, "precision": str(ours.dtype).removeprefix("torch.")},
    )


@functools.lru_cache(maxsize=4)
def measured_codec(model: str, device: str, identity: str) -> TorchCodec:
    """The TorchCodec of ``model``, whose weights must have this ``identity``. It is loaded once, and kept: the weights
    of a run that trains are written anew every few minutes, and all images must be measured by the same.

    Raises:
        RnncodecError: the weights were written anew before they were loaded.
    """
    codec = load_torch_codec(model, device)
    if codec.identity.hex() != identity:
        raise RnncodecError(
            f"the weights of {model} were written anew while they were measured, as by a run that trains; start the "
            "same command again"
        )
    return codec


def check_names(names: list[str], anchors: list[Curve]) -> None:
    """Raises ConfigurationError if two curves would have the same name."""
    names = [*names, *(anchor.name for anchor in anchors)]
    if len(set(names)) < len(names) or "evaluation" in names or names[0] in CLASSICAL:
        raise ConfigurationError(f"curves need names of their own, not {', '.join(names)}; choose another name=…")


def outcomes(jobs: list[Job], options: EvaluationOptions) -> Generator[tuple[Job, list[Point] | str], None, None]:
    """Yields the jobs as they finish, each with its Points, or with a message if its image cannot be measured.

    Raises:
        RnncodecError: a process was killed.
    """
    processes = min(options.workers or default_workers(options.device), len(jobs))
    if processes <= 1:
        with one_thread():
            for job in jobs:
                yield job, perform(job)
        return
    try:
        with Workers(processes, torch.set_num_threads, 1, modules=[__name__]) as pool:
            futures = {pool.submit(perform, job): job for job in jobs}
            for future in as_completed(futures):
                yield futures[future], future.result()
    except BrokenProcessPool:
        raise RnncodecError(
            "a process that measured images was killed, as a system does that is out of memory; the measurements so "
            f"far are kept: start the same command again, with fewer workers than {processes}"
        ) from None


def default_workers(device: str) -> int:
    """One process for each core that this process may use; with a GPU only one."""
    if device != "cpu":
        return 1
    return available_cores()


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs its block with one thread, because sums in floating point depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def perform(job: Job) -> list[Point] | str:
    """The Points of a job, or a message if its image cannot be measured."""
    try:
        pixels = read_measurable(job.image)
        if job.codec is not None:
            return measure_classical(classical(job.codec), pixels)
        return measure(measured_codec(job.model, job.device, job.identity), pixels, job.iterations, job.effort)
    except ImageError as error:
        return str(error).removeprefix(f"{job.image}: ")


def read_measurable(path: Path) -> Pixels:
    """The pixels of an image file. Raises ImageError if it cannot be read, or is too small for PSNR-HVS."""
    pixels = read_pixels(path)
    height, width = pixels.shape[:2]
    if min(height, width) < BLOCK:
        raise ImageError(f"{path}: {width}×{height} pixels; the measures need {BLOCK} a side")
    return pixels


def in_order(measurements: Measurements, about: About) -> Measurements:
    """The measurements that ``about`` asks for, by codec and image, then the others in the folder."""
    asked = [(codec, photo) for codec in (about.name, *about.baselines) for photo in about.images.values()]
    first = {key: measurements[key] for key in asked if key in measurements}
    return first | {key: measurements[key] for key in sorted(measurements) if key not in first}
