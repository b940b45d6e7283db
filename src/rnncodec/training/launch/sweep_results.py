"""The results of a sweep beside each other: what differs between its jobs, and the figures of each setting."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from rnncodec.training.run.options import SEEDS, differences, says_method
from rnncodec.training.run.outcome import read_result

FIGURES = {  # by their names in result.json: the heading, and the decimals
    "eval/validation/bpp_at_0.90": ("bpp at 0.90", 3),
    "eval/validation/bpp_at_0.95": ("bpp at 0.95", 3),
    "eval/validation/auc_ms_ssim_over_jpeg": ("area over JPEG", 4),
    "eval/validation/bd_rate_jpeg": ("BD-rate (%)", 1),
    "val/loss": ("val/loss", 5),
}
LOSS = "val/loss"


def results_table(options: Mapping[Path, Mapping[str, Any]]) -> Table | None:
    """One row for each setting of the finished jobs in ``options``, which holds the options of each by its folder: the
    options that differ, the number of seeds, and the FIGURES that all jobs have, as the mean over the seeds ± half
    their range. Jobs that a search has pruned do not count. Losses are left out where the jobs have other losses or
    other iterations, for these cannot be compared. None if there is nothing to compare."""
    results = {folder: read_result(folder) for folder in options}
    figures = {folder: result["metrics"] for folder, result in results.items() if result and not result["pruned"]}
    if len(figures) < 2:
        return None
    differing = {
        name: values
        for name, values in differences([options[folder] for folder in figures]).items()
        if name not in SEEDS and says_method(name)
    }
    same_loss = not any(name == "iterations" or name.split(".")[0] == "loss" for name in differing)
    shown = [name for name in FIGURES if all(name in found for found in figures.values())]
    shown = [name for name in shown if name != LOSS or same_loss]
    settings: dict[tuple[str, ...], list[Mapping[str, float]]] = {}
    for at, found in enumerate(figures.values()):
        settings.setdefault(tuple(values[at] for values in differing.values()), []).append(found)
    table = Table(title="Validation photos, mean ± half the range of the seeds")
    for heading in differing:
        table.add_column(escape(heading), overflow="fold")
    for heading in ("seeds", *(FIGURES[name][0] for name in shown)):
        table.add_column(heading, justify="right", overflow="fold")
    for key, seeds in settings.items():
        cells = [spread([float(found[name]) for found in seeds], FIGURES[name][1]) for name in shown]
        table.add_row(*map(escape, key), str(len(seeds)), *cells)
    return table


def spread(values: Sequence[float], decimals: int) -> str:
    """The mean of the values, ± half their range."""
    mean, half = sum(values) / len(values), (max(values) - min(values)) / 2
    return f"{mean:.{decimals}f} ± {half:.{decimals}f}" if len(values) > 1 else f"{mean:.{decimals}f}"
