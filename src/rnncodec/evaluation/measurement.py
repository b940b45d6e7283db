"""An evaluation: every image by every codec, on several processes, taken up again where it was left."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from rnncodec.compression import compressor
from rnncodec.errors import ConfigurationError, DataError, ImageError
from rnncodec.evaluation.classical import CLASSICAL, classical
from rnncodec.evaluation.curves import Curve, read_anchors
from rnncodec.evaluation.measure import Point, measure, measure_classical
from rnncodec.evaluation.results import (
    About,
    Evaluation,
    Measurements,
    complete,
    read_about,
    read_measurements,
    write_about,
    write_evaluation,
    write_measurements,
)
from rnncodec.imaging import Pixels, is_image_name, read_pixels
from rnncodec.metrics import SMALLEST_SIDE


@dataclass(frozen=True)
class Options:
    """What to measure.

    Args:
        model: a released model's name, a weights file, or a run's folder.
        images: a folder's images are measured, or those of a list of files.
        name: of the codec in tables and plots; its curve's file is called so.
        iterations: of the codec; None for as many as it was trained for.
        baselines: of CLASSICAL.
        anchors: a folder of published curves.
        compare_to: the baseline or anchor that BD-rates are against; None or an absent one for no BD-rates.
        workers: processes; None for one a core. Each has one thread, so that their number changes no result.
        device: where the network runs.
    """

    model: str
    images: list[Path]
    name: str
    iterations: int | None
    baselines: tuple[str, ...]
    anchors: Path | None
    compare_to: str | None
    workers: int | None
    device: str


@dataclass(frozen=True)
class Job:
    """One image by one codec: ``codec`` names a classical one, or is None for the network."""

    image: Path
    codec: str | None
    model: str
    device: str
    iterations: int


def evaluate(options: Options, folder: Path, on_progress: Callable[[int, int, str], object]) -> Evaluation:
    """Measure what is not yet measured in ``folder``, and write the results there.

    ``on_progress(done, total, complaint)`` is called after each job. The complaint says why an image could not be
    measured, and is "" otherwise.

    Raises:
        RnncodecError: an option cannot work, ``folder`` holds measurements of something else, or every image is broken.
    """
    about = check(options)
    before = read_about(folder)
    if before is not None and not before.same_measurements(about):
        raise ConfigurationError(
            f"{folder} holds measurements of '{before.name}' (model {before.identity}, {before.iterations} iterations) "
            f"and not of '{about.name}' (model {about.identity}, {about.iterations}); choose another folder=…"
        )
    anchors = read_anchors(options.anchors) if options.anchors else []
    about.anchors = [anchor.name for anchor in anchors]
    check_names([options.name, *options.baselines], anchors)
    folder.mkdir(parents=True, exist_ok=True)
    write_about(about, folder)

    measurements = read_measurements(folder)
    jobs = [
        Job(image, codec, options.model, options.device, about.iterations)
        for image in options.images
        for codec in (None, *options.baselines)
        if (codec or options.name, image.name) not in measurements
    ]
    total = len(options.images) * (1 + len(options.baselines))
    done = total - len(jobs)
    on_progress(done, total, "")
    for job, outcome in outcomes(jobs, options):
        done += 1
        if isinstance(outcome, str):
            news = "" if job.image.name in about.broken else f"{job.image}: {outcome}"
            about.broken[job.image.name] = outcome
            on_progress(done, total, news)
        else:
            measurements[job.codec or options.name, job.image.name] = outcome
            write_measurements(measurements, folder)
            on_progress(done, total, "")
    evaluation = complete(about, in_order(measurements, options), anchors)
    write_evaluation(evaluation, folder)
    return evaluation


def check(options: Options) -> About:
    """What will be measured. Raises RnncodecError where an option cannot work."""
    ours = compressor(options.model, options.device)
    if options.workers is not None and options.workers < 1:
        raise ConfigurationError(f"workers must be at least 1, not {options.workers}")
    if options.iterations is not None and options.iterations < 1:
        raise ConfigurationError(f"iterations must be at least 1, not {options.iterations}")
    if not options.images:
        raise DataError("there are no images to measure")
    for baseline in options.baselines:
        classical(baseline)
    names = [image.name for image in options.images]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DataError(f"several images have the same name: {', '.join(sorted(twice))}")
    return About(
        name=options.name,
        model=str(Path(options.model).resolve()) if Path(options.model).exists() else options.model,
        identity=ours.identity.hex(),
        network={**vars(ours.codec.config)},
        training=ours.codec.training_info,
        iterations=options.iterations or ours.trained_iterations,
        images=[str(image.resolve()) for image in options.images],
        baselines=list(options.baselines),
        compare_to=options.compare_to,
    )


def check_names(names: list[str], anchors: list[Curve]) -> None:
    """Raises ConfigurationError where two curves would have one name."""
    names = [*names, *(anchor.name for anchor in anchors)]
    if len(set(names)) < len(names) or "evaluation" in names or names[0] in CLASSICAL:
        raise ConfigurationError(f"curves need names of their own, not {', '.join(names)}; choose another name=…")


def find_images(folder: Path) -> list[Path]:
    """The images in ``folder``, by name. Raises DataError where there are none."""
    paths = sorted(path for path in folder.iterdir() if is_image_name(path)) if folder.is_dir() else []
    if not paths:
        raise DataError(f"no images in {folder}")
    return paths


def outcomes(jobs: list[Job], options: Options) -> Iterator[tuple[Job, list[Point] | str]]:
    """The jobs as they are done, each with its Points, or with what is wrong with its image."""
    processes = min(options.workers or default_workers(options.device), len(jobs))
    if processes <= 1:
        with one_thread():
            for job in jobs:
                yield job, perform(job)
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"), torch.set_num_threads, (1,))
    try:
        futures = {pool.submit(perform, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def default_workers(device: str) -> int:
    """One for each core that this process may use; a single one beside a GPU."""
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in floating point depend on how many threads share them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def perform(job: Job) -> list[Point] | str:
    """The Points of a job, or what is wrong with its image."""
    try:
        pixels = read_measurable(job.image)
        if job.codec is not None:
            return measure_classical(classical(job.codec), pixels)
        return measure(compressor(job.model, job.device), pixels, job.iterations)
    except ImageError as error:
        return str(error).removeprefix(f"{job.image}: ")


def read_measurable(path: Path) -> Pixels:
    """The pixels of an image file. Raises ImageError where it cannot be read, or is too small for MS-SSIM."""
    pixels = read_pixels(path)
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise ImageError(f"{path}: {width}×{height} pixels; MS-SSIM needs {SMALLEST_SIDE} a side")
    return pixels


def in_order(measurements: Measurements, options: Options) -> Measurements:
    """The measurements asked for, by codec and image, then the others that the folder holds."""
    codecs = (options.name, *options.baselines)
    asked = [(codec, image.name) for codec in codecs for image in options.images]
    first = {key: measurements[key] for key in asked if key in measurements}
    return first | {key: measurements[key] for key in sorted(measurements) if key not in first}
