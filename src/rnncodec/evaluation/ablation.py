"""Ablations: Markdown tables that compare the runs of sweeps at equal steps and at equal time, from the files of the
runs.

Quality is that of the validations. Rate is that of raw bits, without entropy coding; for runs with a rate term it is
the cross-entropy of the codes under the context model that was trained at the same time.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

import numpy as np
import yaml

from rnncodec.errors import DataError
from rnncodec.evaluation.rate_distortion import area, rate_at
from rnncodec.evaluation.sources import differences, from_folders
from rnncodec.evaluation.summary import ABSENT, markdown
from rnncodec.network.codec import STRIDE
from rnncodec.network.config import ADDED, CodecConfig, from_older
from rnncodec.network.cost import cost
from rnncodec.training.run.folder import CONFIG, HISTORY

SWEEP = "multirun.yaml"  # written by Hydra into the folder of a multirun
RATES = (0.25, 0.5, 1.0)  # bits a pixel: iterations 2, 4 and 8 of a network of 32 bits
TARGET = 0.90  # MS-SSIM
COLUMNS = {  # the columns of the tables, and their decimals
    "steps": 0,
    "seconds": 0,
    **{f"MS-SSIM at {rate:g} bpp": 4 for rate in RATES},
    f"PSNR at {RATES[-1]:g} bpp": 2,
    f"bpp at {TARGET:.2f}": 3,
    f"area to {RATES[-1]:g} bpp": 4,
    "encoder, kMAC a pixel": 1,  # and iteration
    "decoder, kMAC a pixel": 1,
}
CLOCKS = ("steps", "seconds")  # runs are compared when these are equal
TITLES = list(COLUMNS)


@dataclass(frozen=True)
class Run:
    """A run: the ``group`` of its sweep, its ``options``, flat, and the values of COLUMNS at each validation, ``[V,
    C]``, NaN for a value that does not exist."""

    group: str
    options: dict[str, str]
    measured: np.ndarray

    def last(self, clock: str) -> float:
        return float(self.measured[-1, TITLES.index(clock)])

    def at(self, clock: str, moment: float) -> np.ndarray:
        """The values of COLUMNS when ``clock`` was ``moment``, linear between validations."""
        shown = self.measured[:, TITLES.index(clock)]
        return np.array([np.interp(moment, shown, column, left=np.nan) for column in self.measured.T])


def ablations(sweeps: Sequence[Path]) -> dict[str, str]:
    """The commands and the tables, as text, for each group of runs in ``sweeps``, the folders of multiruns.

    Raises:
        DataError: a folder is not that of a multirun, a run has logged no validation, or two runs have the same
        options.
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
    """The folders of the runs of a multirun, in order. Raises DataError if there is none."""
    found = [path.parent for path in sweep.glob(f"*/{CONFIG}")]
    if not found:
        raise DataError(f"{sweep}: there is no run in it")
    return sorted(found, key=lambda folder: int(folder.name.partition("-")[0]))


def read_command(sweep: Path) -> str:
    """The command that started a multirun. Raises DataError if ``sweep`` is not the folder of one."""
    try:
        overrides = yaml.safe_load((sweep / SWEEP).read_text())["hydra"]["overrides"]
    except FileNotFoundError:
        raise DataError(f"{sweep}: not the folder of a multirun: it has no {SWEEP}") from None
    options = [option for option in overrides["hydra"] if not option.startswith("hydra.mode=")]
    return shlex.join(["python", "train.py", "-m", *overrides["task"], *options])


def read_run(folder: Path) -> Run:
    """Read a run from its folder. Raises DataError if it has logged no validation."""
    source = from_folders(folder, None)
    logged = source.training
    if not {"train/seconds", "val/loss"} <= logged.keys():
        raise DataError(f"{folder}: no validation is in its {HISTORY}")
    iterations = [f"t{t:02d}" for t in takewhile(lambda t: f"val/psnr_t{t:02d}" in logged, count(1))]
    raw = int(source.options["model.bits"]) / STRIDE**2
    rows = []
    for step in logged["val/loss"]:
        seconds = logged["train/seconds"][step]
        ms_ssim, psnr = ([logged[f"val/{metric}_{t}"][step] for t in iterations] for metric in ("ms_ssim", "psnr"))
        rates = np.cumsum([raw * logged.get(f"val/bits_{t}", {}).get(step, 1.0) for t in iterations])
        points = list(zip(rates.tolist(), ms_ssim, strict=True))
        qualities = np.interp(RATES, rates, ms_ssim, np.nan, np.nan)
        psnr_at_end = np.interp(RATES[-1], rates, psnr, np.nan, np.nan)
        rows.append([step + 1, seconds, *qualities, psnr_at_end, rate_at(points, TARGET), area(points, RATES[-1])])
    config = yaml.safe_load((folder / CONFIG).read_text())
    options = {**ADDED, **config["model"], "reconstruction": config["reconstruction"]}
    network = cost(CodecConfig.from_mapping(from_older(options)))
    rows = [[*row, network.encoder, network.decoder] for row in rows]
    return Run(str(config["group"]), source.options, np.array(rows, dtype=float))  # None becomes NaN


def describe(runs: Sequence[Run], commands: Sequence[str]) -> str:
    """The commands and the tables of a group."""
    parts = ["".join(f"    {command}\n" for command in commands)]
    for clock in CLOCKS:
        moment = min(run.last(clock) for run in runs)
        parts.append(f"After {moment:.0f} {clock} of training:\n\n{table(runs, clock, moment)}")
    return "\n".join(parts)


def table(runs: Sequence[Run], clock: str, moment: float) -> str:
    """The runs when ``clock`` was ``moment``, one row for each setting: the mean over its seeds and, if there are
    several, ± half their range."""
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
    """The value of an option; of a class only its name."""
    return value.removeprefix("rnncodec.distortion.losses.")


def spread(values: np.ndarray, decimals: int) -> str:
    """The mean of the values, ± half their range; ABSENT if a run has no value."""
    if np.isnan(values).any():
        return ABSENT
    mean = f"{values.mean():.{decimals}f}"
    return f"{mean} ± {np.ptp(values) / 2:.{decimals}f}" if np.ptp(values) > 0 else mean


def insert(texts: Mapping[str, str], document: str) -> str:
    """``document`` with the text of each group between the marks of the group, in place of the text that was there. The
    text of a group without marks is added at the end.

    Raises:
        DataError: the first mark of a group is there, but the last is not.
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
