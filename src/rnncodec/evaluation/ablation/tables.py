"""Tables of settings: one row for each, the mean over its seeds ± half their range."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from rnncodec.evaluation.ablation.runs import Run
from rnncodec.evaluation.curves import Curve
from rnncodec.evaluation.rate_distortion import bd_rate, rate_at
from rnncodec.evaluation.settings import mean_of_curves, method
from rnncodec.evaluation.summary import ABSENT, TARGETS, markdown
from rnncodec.training.run.options import differences

EQUAL = 0.1  # networks whose operations lie no farther apart than this are compared at equal operations

CurveOf = Callable[[Run], Curve | None]  # the curve of a run in a table, or None if it has none there

Costs = Mapping[str, tuple[int, Callable[[Run], float]]]  # headings, their decimals, and the value of a run

COSTS: Costs = {
    "kMAC a pixel and iteration": (1, lambda run: run.operations),
    "parameters (M)": (2, lambda run: run.cost.parameters / 1e6),
    "CPU seconds": (0, lambda run: run.cpu_seconds),
}


def rate(curve: Curve, baseline: Curve | None, target: float) -> float | None:
    """The bits per pixel at which ``curve`` reaches the MS-SSIM ``target``; None if it does not."""
    return rate_at(curve.points("ms-ssim-rgb"), target)


def percent(curve: Curve, baseline: Curve | None, metric: str) -> float | None:
    """The BD-rate of ``curve``; None without a ``baseline``, or where the curves cover no quality together."""
    found = bd_rate(baseline.points(metric), curve.points(metric)) if baseline else None
    return found.percent if found else None


@dataclass(frozen=True)
class Column:
    """A column of what curves give: its ``heading``, the ``value`` of a curve against the baseline, and how it is
    written."""

    heading: str
    decimals: int
    value: Callable[[Curve, Curve | None], float | None]
    sign: str = ""


# The last qualities are there because a BD-rate says nothing of those that one of the curves does not reach.
COLUMNS = [
    *(Column(f"bpp at {target:.2f}", 3, partial(rate, target=target)) for target in TARGETS),
    Column("BD-rate, MS-SSIM (%)", 1, partial(percent, metric="ms-ssim-rgb"), "+"),
    Column("BD-rate, PSNR (%)", 1, partial(percent, metric="psnr-rgb"), "+"),
    Column("last MS-SSIM", 4, lambda curve, _: curve.results["ms-ssim-rgb"][-1]),
    Column("last PSNR (dB)", 2, lambda curve, _: curve.results["psnr-rgb"][-1]),
]


@dataclass(frozen=True)
class Setting:
    """The finished runs that differ only in the seed."""

    runs: list[Run]

    @property
    def first(self) -> Run:
        return self.runs[0]

    def curve(self, curve_of: CurveOf) -> Curve | None:
        """The mean of the curves of the seeds."""
        return mean_of_curves(self.first.name, [curve for run in self.runs if (curve := curve_of(run))])


def settings(runs: Sequence[Run]) -> list[Setting]:
    """The settings of ``runs``, in their order."""
    found: dict[frozenset[tuple[str, str]], list[Run]] = {}
    for run in runs:
        found.setdefault(run.setting, []).append(run)
    return [Setting(seeds) for seeds in found.values()]


@dataclass(frozen=True)
class Comparison:
    """The ``settings`` that are compared, and the one that BD-rates are computed ``against``, which need not be among
    them. None if it is not finished."""

    settings: list[Setting]
    against: Setting | None

    @cached_property
    def options(self) -> dict[str, list[str]]:
        """The options that differ between the settings, with the value of each; of a single setting its name. The file
        that was chosen from a folder of ``conf/`` stands for all options that follow from it."""
        runs = [setting.first for setting in self.settings]
        choices = differences([run.choices for run in runs])
        chosen: dict[str, list[str]] = {}
        others: dict[str, list[str]] = {}
        for name, values in differences([method(run.options) for run in runs]).items():
            part = name.partition(".")[0]
            if part in choices and len({*zip(choices[part], values, strict=True)}) == len({*choices[part]}):
                chosen[part] = choices[part]
            else:
                others[name] = values
        return chosen | others or {"run": [run.name for run in runs]}

    @property
    def labels(self) -> list[str]:
        """The values of each setting in words, of as many of the first options as tell all settings apart."""
        values = list(zip(*self.options.values(), strict=True))
        prefixes = ([row[:count] for row in values] for count in range(1, len(self.options) + 1))
        apart = next((rows for rows in prefixes if len(set(rows)) == len(rows)), values)
        return [", ".join(row) for row in apart]

    def table(self, curve_of: CurveOf, costs: Costs) -> str:
        """The table of the curves that ``curve_of`` gives, with the columns ``costs`` at its end."""
        baseline = self.against.curve(curve_of) if self.against else None
        headings = [
            *self.options,
            "seeds",
            *(column.heading for column in COLUMNS),
            *costs,
        ]
        values = zip(*self.options.values(), strict=True)
        return markdown(
            headings,
            [
                [*own, *cells(setting, baseline, curve_of, costs)]
                for own, setting in zip(values, self.settings, strict=True)
            ],
        )

    def operations_in_words(self) -> str:
        """Whether the networks are compared at equal operations."""
        counts = [setting.first.cost.coding(setting.first.iterations) for setting in self.settings]
        apart = max(counts) / min(counts) - 1
        if not apart:
            return f"All iterations together take {counts[0]:.0f} kMAC a pixel."
        verdict = "equal operations" if apart <= EQUAL else "**not equal operations**"
        span = f"{min(counts):.0f} to {max(counts):.0f} kMAC a pixel, {100 * apart:.1f} % apart"
        return f"All iterations together take {span}: {verdict}."


def cells(setting: Setting, baseline: Curve | None, curve_of: CurveOf, costs: Costs) -> list[str]:
    """The number of seeds with a curve, what the curves give, and what the networks cost."""
    curves = [curve for run in setting.runs if (curve := curve_of(run))]
    found = [
        spread(np.array([column.value(curve, baseline) for curve in curves], dtype=float), column.decimals, column.sign)
        for column in COLUMNS  # None becomes NaN
    ]
    spent = [spread(np.array([value(run) for run in setting.runs]), decimals) for decimals, value in costs.values()]
    return [str(len(curves)), *found, *spent]


def spread(values: np.ndarray, decimals: int, sign: str = "") -> str:
    """The mean of the values, ± half their range; ABSENT if there is none, or a run has none."""
    if not len(values) or np.isnan(values).any():
        return ABSENT
    mean = f"{round(values.mean(), decimals) + 0.0:{sign}.{decimals}f}"  # + 0.0: no "-0.0"
    return f"{mean} ± {np.ptp(values) / 2:.{decimals}f}" if np.ptp(values) > 0 else mean


def equal_seconds(settings: Sequence[Setting]) -> float:
    """The CPU seconds that the shortest of the runs took; NaN if no run measured them."""
    taken = [run.cpu_seconds for setting in settings for run in setting.runs if not math.isnan(run.cpu_seconds)]
    return min(taken, default=math.nan)
