"""The runs of sweeps, read from the files in their folders."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, takewhile
from pathlib import Path
from typing import Any, cast

import numpy as np
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from rnncodec.errors import DataError, PackageError
from rnncodec.evaluation.curves import Curve
from rnncodec.evaluation.photo_set import set_hash
from rnncodec.evaluation.results import ABOUT, Evaluation, read_evaluation
from rnncodec.evaluation.settings import seeds, setting_key
from rnncodec.evaluation.sources import finite_history, from_folders, read_options, texts
from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.fileformat.json_input import read_json
from rnncodec.network.cost import Cost, cost
from rnncodec.terminal import log
from rnncodec.training.launch.sweep import EXCLUDED, given_options, jobs
from rnncodec.training.run.folder import CONFIG
from rnncodec.training.run.network_config import network_config
from rnncodec.training.run.outcome import read_result
from rnncodec.training.run.saved_config import load_config

SWEEP = "multirun.yaml"  # written by Hydra into the folder of a multirun
CLOCK = "train/cpu_seconds"
OF_A_MACHINE = ("hydra.mode=", "hydra.sweep.dir=", EXCLUDED)  # options that nobody else needs to repeat a multirun


@dataclass(frozen=True)
class Run:
    """A finished run: its ``job`` (see `job_name`), its ``name``, the ``group`` of its sweep, its ``options``, flat,
    and the ``choices`` of files in ``conf/``; the ``steps`` that it took, its ``iterations``, and the ``cost`` of its
    network.

    ``evaluations`` are of real files, by the name of the photos. ``seconds`` ``[V]`` are the CPU seconds of training at
    each validation, ``validated`` ``[V]`` its steps, and ``validations`` ``[V, 3, T]`` the bits per pixel, the MS-SSIM
    and the PSNR of each iteration then. Runs of a version that did not measure CPU seconds have no validations.
    """

    job: str
    name: str
    group: str
    options: dict[str, str]
    choices: dict[str, str]
    steps: int
    iterations: int
    cost: Cost
    evaluations: dict[str, Evaluation]
    seconds: np.ndarray
    validated: np.ndarray
    validations: np.ndarray

    @cached_property
    def setting(self) -> frozenset[tuple[str, str]]:
        """What the run shares with runs that differ only in the seed."""
        return setting_key(self.options)

    @property
    def seeds(self) -> tuple[str, ...]:
        return seeds(self.options)

    @property
    def operations(self) -> float:
        """Thousands of multiply–accumulates a pixel and iteration, of the encoder and the decoder together."""
        return self.cost.encoder + self.cost.decoder

    @property
    def cpu_seconds(self) -> float:
        """All CPU seconds of training; NaN if they were not measured."""
        return float(self.seconds[-1]) if len(self.seconds) else math.nan

    def steps_at(self, seconds: float) -> float:
        """The steps after so many CPU seconds of training, linear between validations; NaN where `at` is None."""
        if not len(self.seconds):
            return math.nan
        return float(np.interp(seconds, self.seconds, self.validated, math.nan, math.nan))

    def at(self, seconds: float) -> Curve | None:
        """The curve of the validation photos after so many CPU seconds of training, linear between validations. None if
        there was no validation before or none after."""
        if not len(self.seconds) or not self.seconds[0] <= seconds <= self.seconds[-1]:
            return None
        after = max(1, int(np.searchsorted(self.seconds, seconds))) if len(self.seconds) > 1 else 0
        before = max(0, after - 1)
        passed = self.seconds[after] - self.seconds[before]
        share = (seconds - self.seconds[before]) / passed if passed > 0 else 1.0
        mixed = (1 - share) * self.validations[before] + share * self.validations[after]
        return Curve(self.name, "", dict(zip(("bpp", "ms-ssim-rgb", "psnr-rgb"), mixed.tolist(), strict=True)))


@dataclass(frozen=True)
class Unfinished:
    """A run that has begun and has not come to its end: its ``name``, the ``group`` of its sweep, and the ``steps`` of
    ``most`` that it has logged."""

    name: str
    group: str
    steps: int
    most: int


@dataclass(frozen=True)
class Sweep:
    """A multirun: the ``command`` that started it, its runs, and how many of its jobs have ``not_begun``."""

    command: str
    finished: list[Run]
    unfinished: list[Unfinished]
    not_begun: int


StepSeconds = Mapping[str, float]  # the CPU seconds of a step of runs, by their `job_name`


def read_step_seconds(path: Path) -> StepSeconds:
    """The seconds that `benchmarks.step_seconds` wrote to ``path``. Raises DataError if these are not in it, and
    OSError if it cannot be read."""
    try:
        found = read_json(path)
        if all(0 < seconds < math.inf for seconds in found.values()):
            return cast(StepSeconds, found)
    except (ValueError, TypeError, AttributeError):
        pass
    raise DataError(f"{path}: not a file of benchmarks.step_seconds: it must map runs to seconds")


def job_name(folder: Path) -> str:
    """The name of the run in ``folder`` among those of all sweeps: ``SWEEP/JOB``."""
    return f"{folder.parent.name}/{folder.name}"


def with_step_seconds(sweeps: Sequence[Sweep], step_seconds: StepSeconds) -> list[Sweep]:
    """``sweeps`` whose runs have the CPU seconds of their steps by ``step_seconds``, in place of those that were
    measured in training. Runs that differ only in the seed have the same.

    Raises:
        DataError: ``step_seconds`` lack a setting.
    """
    runs = [run for sweep in sweeps for run in sweep.finished]
    taken = {run.setting: step_seconds[run.job] for run in runs if run.job in step_seconds}
    if lacking := [run.job for run in runs if run.setting not in taken]:
        raise DataError(f"the file of the seconds of a step lacks {', '.join(lacking)}: measure all runs again")
    return [
        replace(sweep, finished=[replace(run, seconds=run.validated * taken[run.setting]) for run in sweep.finished])
        for sweep in sweeps
    ]


def read_sweeps(folders: Sequence[Path]) -> list[Sweep]:
    """The runs in the folders of multiruns. One without a run, whose jobs were all refused, is left out, with a line on
    the terminal.

    Raises:
        DataError: one is not the folder of a multirun, or there is no run in any of them.
    """
    found = []
    for folder in folders:
        sweep = read_sweep(folder)
        if sweep.finished or sweep.unfinished:
            found.append(sweep)
        else:
            log.print(f"left out: {folder}: there is no run in it", soft_wrap=True, markup=False)
    if not found:
        raise DataError(f"there is no run in {', '.join(map(str, folders))}")
    return found


def read_sweep(folder: Path) -> Sweep:
    """The runs in the folder of a multirun. Raises DataError if ``folder`` is none."""
    if not (folder / SWEEP).is_file():
        raise DataError(f"{folder}: not the folder of a multirun: it has no {SWEEP}")
    try:
        command, most = multirun(read_options(folder / SWEEP)["hydra"])
    except (KeyError, TypeError, AttributeError, HydraException) as error:
        raise DataError(f"{folder / SWEEP}: not that of a multirun ({error!r})") from None
    runs = [checked_run(job) for job in jobs(folder) if (job / CONFIG).is_file()]
    return Sweep(
        command,
        [run for run in runs if isinstance(run, Run)],
        [run for run in runs if isinstance(run, Unfinished)],
        max(0, most - len(runs)),
    )


def checked_run(folder: Path) -> Run | Unfinished:
    """The run in ``folder``. Raises DataError if its files are not those of a run."""
    try:
        return read_run(folder)
    except PackageError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OmegaConfBaseException) as error:
        raise DataError(f"{folder}: its files are not those of a run ({error!r})") from None


def multirun(hydra: dict[str, Any]) -> tuple[str, int]:
    """The command that started a multirun with the options ``hydra``, and the number of its jobs; see `job_count`."""
    options = [option for option in hydra["overrides"]["hydra"] if not option.startswith(OF_A_MACHINE)]
    return shlex.join(["python", "train.py", "-m", *hydra["overrides"]["task"], *options]), job_count(hydra)


def job_count(hydra: dict[str, Any]) -> int:
    """How many jobs Hydra's own sweeper makes of the options ``hydra`` of a multirun; 0 for another sweeper, which
    decides while it runs."""
    sweeper = hydra.get("sweeper", {})
    if not str(sweeper.get("_target_", "")).endswith(".BasicSweeper"):
        return 0
    options = given_options(sweeper.get("params") or {}, hydra["overrides"]["task"]).values()
    return math.prod(len(list(option.sweep_string_iterator())) for option in options if option.is_sweep_override())


def read_run(folder: Path) -> Run | Unfinished:
    """The run in ``folder``, whose files may be anybody's."""
    config = read_options(folder / CONFIG)
    name, group = str(config.get("name", folder.name)), str(config.get("group") or "sweep")
    history = finite_history(folder)
    result = read_result(folder)
    if result is None or result["pruned"]:
        logged = [step + 1 for values in history.values() for step in values]
        return Unfinished(name, group, max(logged, default=0), int(config["trainer"]["max_steps"]))
    network = network_config(load_config(folder))
    seconds, validated, validations = in_training(history, network.bits / STRIDE**2)
    return Run(
        job_name(folder),
        name,
        group,
        from_folders(folder, None).options,
        texts(config.get("choices", {})),
        result["steps"],
        int(config["iterations"]),
        cost(network),
        real_files(folder, result["steps"], int(config["iterations"])),
        seconds,
        validated,
        validations,
    )


def in_training(history: dict[str, dict[int, float]], raw: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The CPU seconds ``[V]``, the steps ``[V]``, and the rates and qualities ``[V, 3, T]`` of each validation in the
    ``history`` of a run whose raw bits of one iteration are ``raw`` bits a pixel. Rates are the cost of the codes under
    the context model of the rate term; without a rate term they are those of raw bits."""
    names = [f"t{t:02d}" for t in takewhile(lambda t: f"val/psnr_t{t:02d}" in history, count(1))]
    clock = history.get(CLOCK, {})
    steps = [step for step in history.get("val/loss", {}) if step in clock]
    rows = []
    for step in steps:
        bits = [history.get(f"val/bits_{name}", {}).get(step, 1.0) for name in names]
        qualities = [[history[f"val/{metric}_{name}"].get(step, math.nan) for name in names] for metric in QUALITIES]
        rows.append([(raw * np.cumsum(bits)).tolist(), *qualities])
    return np.array([clock[step] for step in steps]), np.array(steps) + 1, np.array(rows)


QUALITIES = ("ms_ssim", "psnr")  # of a validation, in the order of `Run.validations`


def real_files(folder: Path, steps: int, iterations: int) -> dict[str, Evaluation]:
    """The evaluations of the run in ``folder`` by the name of their photos: those of the weights after ``steps`` steps,
    with all ``iterations``, without a search for better codes. One that is not finished is left out, with a line on the
    terminal."""
    found = {}
    for path in sorted(folder.glob(f"evaluations/*/{ABOUT}")):
        try:
            evaluation = read_evaluation(path.parent)
        except DataError as error:
            log.print(f"left out: {error}", soft_wrap=True, markup=False)
            continue
        about = evaluation.about
        if (about.training.get("steps"), about.iterations, about.effort) == (steps, iterations, 0):
            found[photos_in_words(evaluation)] = evaluation
    return found


def photos_in_words(evaluation: Evaluation) -> str:
    """The number of photos, their name, and a hash of their content: ``24 photos (kodak-0123abcd)``."""
    about = evaluation.about
    content = set_hash(about.images[image] for image in about.measured)
    name = about.dataset.removesuffix(f"-{content}")
    return f"{len(about.measured)} photos ({name}-{content})"


def check_seeds(runs: Sequence[Run]) -> None:
    """Raise a DataError if two of ``runs`` have the same options and the same seed."""
    known: dict[tuple[frozenset[tuple[str, str]], tuple[str, ...]], str] = {}
    for run in runs:
        if (run.setting, run.seeds) in known:
            before = known[run.setting, run.seeds]
            raise DataError(f"{run.name}: a run with the same options and the same seed is there already: {before}")
        known[run.setting, run.seeds] = run.name
