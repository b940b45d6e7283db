"""Ablations: the runs of sweeps side by side, at equal steps and at equal time, as Markdown from the runs' own files.

Qualities are those of the validations, rates those of raw bits: what the networks learned, without entropy coding. Only
where a run has a rate term is a bit counted as what it costs under the context model that learned along.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

import numpy as np
import yaml

from rnncodec.codec import STRIDE
from rnncodec.errors import DataError
from rnncodec.evaluation.rate_distortion import area, rate_at
from rnncodec.evaluation.report.sources import differences, from_folders
from rnncodec.evaluation.summary import ABSENT, markdown
from rnncodec.run_folder import CONFIG

SWEEP = "multirun.yaml"  # Hydra's, in the folder of a multirun
RATES = (0.25, 0.5, 1.0)  # bits a pixel: iterations 2, 4 and 8 of a network of 32 bits
TARGET = 0.90  # MS-SSIM
COLUMNS = {  # what is measured, and its decimals
    "steps": 0,
    "seconds": 0,
    **{f"MS-SSIM at {rate:g} bpp": 4 for rate in RATES},
    f"PSNR at {RATES[-1]:g} bpp": 2,
    f"bpp at {TARGET:.2f}": 3,
    f"area to {RATES[-1]:g} bpp": 4,
}
CLOCKS = ("steps", "seconds")  # which runs are made equal in
TITLES = list(COLUMNS)


@dataclass(frozen=True)
class Run:
    """A run: the sweep's ``group``, the ``options``, flat, and COLUMNS at each validation, ``[V, C]``, NaN for what is
    not to be had."""

    group: str
    options: dict[str, str]
    measured: np.ndarray

    def last(self, clock: str) -> float:
        return float(self.measured[-1, TITLES.index(clock)])

    def at(self, clock: str, moment: float) -> np.ndarray:
        """COLUMNS when ``clock`` showed ``moment``, linear between validations."""
        shown = self.measured[:, TITLES.index(clock)]
        return np.array([np.interp(moment, shown, column, left=np.nan) for column in self.measured.T])


def ablations(sweeps: Sequence[Path]) -> dict[str, str]:
    """The text on each group of runs in ``sweeps``, the folders of multiruns: the commands, and the tables.

    Raises:
        DataError: a folder is not a multirun's, a run in it has logged no validation, or one repeats another.
    """
    runs: dict[str, list[Run]] = {}
    commands: dict[str, list[str]] = {}
    for sweep in sweeps:
        command = read_command(sweep)
        for folder in folders(sweep):
            run = read_run(folder)
            others = runs.setdefault(run.group, [])
            if any(run.options == other.options for other in others):
                raise DataError(f"{folder}: a run with the same options and the same seed is there already")
            others.append(run)
            if command not in commands.setdefault(run.group, []):
                commands[run.group].append(command)
    return {group: describe(runs[group], commands[group]) for group in runs}


def folders(sweep: Path) -> list[Path]:
    """A multirun's runs, in their order. Raises DataError where there is none."""
    found = [path.parent for path in sweep.glob(f"*/{CONFIG}")]
    if not found:
        raise DataError(f"{sweep}: there is no run in it")
    return sorted(found, key=lambda folder: int(folder.name.partition("-")[0]))


def read_command(sweep: Path) -> str:
    """The command that made a multirun. Raises DataError where ``sweep`` is none."""
    try:
        overrides = yaml.safe_load((sweep / SWEEP).read_text())["hydra"]["overrides"]
    except FileNotFoundError:
        raise DataError(f"{sweep}: not the folder of a multirun: it has no {SWEEP}") from None
    options = [option for option in overrides["hydra"] if not option.startswith("hydra.mode=")]
    return shlex.join(["python", "train.py", "-m", *overrides["task"], *options])


def read_run(folder: Path) -> Run:
    """What a run says of itself. Raises DataError where it has logged no validation."""
    source = from_folders(folder, None)
    logged = {name: dict(points) for name, points in source.training.items()}  # what a resumed run repeated counts once
    if "train/seconds" not in logged:
        raise DataError(f"{folder}: no validation was logged in its csv-0; ablations need logger=csv")
    iterations = [f"t{t:02d}" for t in takewhile(lambda t: f"val/psnr_t{t:02d}" in logged, count(1))]
    raw = int(source.options["model.bits"]) / STRIDE**2
    rows = []
    for step, seconds in sorted(logged["train/seconds"].items()):
        ms_ssim, psnr = ([logged[f"val/{metric}_{t}"][step] for t in iterations] for metric in ("ms_ssim", "psnr"))
        rates = np.cumsum([raw * logged.get(f"val/bits_{t}", {}).get(step, 1.0) for t in iterations])
        points = list(zip(rates.tolist(), ms_ssim, strict=True))
        qualities = np.interp(RATES, rates, ms_ssim, np.nan, np.nan)
        psnr_at_end = np.interp(RATES[-1], rates, psnr, np.nan, np.nan)
        rows.append([step + 1, seconds, *qualities, psnr_at_end, rate_at(points, TARGET), area(points, RATES[-1])])
    group = yaml.safe_load((folder / CONFIG).read_text())["group"]
    return Run(str(group), source.options, np.array(rows, dtype=float))  # None becomes NaN


def describe(runs: Sequence[Run], commands: Sequence[str]) -> str:
    """The commands and the tables of a group."""
    parts = ["".join(f"    {command}\n" for command in commands)]
    for clock in CLOCKS:
        moment = min(run.last(clock) for run in runs)
        parts.append(f"After {moment:.0f} {clock} of training:\n\n{table(runs, clock, moment)}")
    return "\n".join(parts)


def table(runs: Sequence[Run], clock: str, moment: float) -> str:
    """The runs when ``clock`` showed ``moment``, a setting a row: the mean over its seeds and, of several, plus or
    minus half their range."""
    differing = differences([run.options for run in runs])
    differing.pop("seed", None)
    settings = list(zip(*([short(value) for value in values] for values in differing.values()), strict=True))
    by_setting: dict[tuple[str, ...], list[np.ndarray]] = {}
    for run, setting in zip(runs, settings or [()] * len(runs), strict=True):
        by_setting.setdefault(setting, []).append(run.at(clock, moment))
    shown = [index for index, title in enumerate(TITLES) if title != clock]
    headings = [option.removesuffix("._target_").removesuffix(".name") for option in differing]
    rows = [
        [*setting, str(len(seeds)), *(spread(np.array(seeds)[:, index], COLUMNS[TITLES[index]]) for index in shown)]
        for setting, seeds in by_setting.items()
    ]
    return markdown([*headings, "seeds", *(TITLES[index] for index in shown)], rows)


def short(value: str) -> str:
    """An option's value; of a class its name alone."""
    return value.removeprefix("rnncodec.training.losses.")


def spread(values: np.ndarray, decimals: int) -> str:
    """The mean of some runs' values, and half their range; ABSENT where a run has none."""
    if np.isnan(values).any():
        return ABSENT
    mean = f"{values.mean():.{decimals}f}"
    return f"{mean} ± {np.ptp(values) / 2:.{decimals}f}" if len(values) > 1 else mean


def insert(texts: Mapping[str, str], document: str) -> str:
    """``document`` with each group's text between the group's marks, in the place of the one before; where it has no
    such marks, at its end.

    Raises:
        DataError: a text's first mark is there, its last is not.
    """
    for group, text in texts.items():
        begin, end = f"<!-- rnncodec ablation: {group} -->", "<!-- end -->"
        before, found, rest = document.partition(begin)
        _, closed, after = rest.partition(end)
        if found and not closed:
            raise DataError(f"the document has '{begin}' but no '{end}' behind it")
        if not found:
            before, after = f"{document}\n## {group}\n\n", "\n"
        document = f"{before}{begin}\n\n{text}\n{end}{after}"
    return document
