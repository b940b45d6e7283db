"""The figure of a comparison: quality against bits, and quality against operations."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from rnncodec.atomic_file import replacing
from rnncodec.evaluation.ablation.tables import Comparison, CurveOf
from rnncodec.evaluation.curves import METRICS, Curve
from rnncodec.evaluation.report.plots import as_label

OPERATIONS = "operations"  # thousands of multiply–accumulates a pixel, of encoder and decoder, up to an iteration
PANELS = (("ms-ssim-rgb", "bpp"), ("psnr-rgb", "bpp"), ("ms-ssim-rgb", OPERATIONS))
AXES = {"bpp": "bits per pixel", OPERATIONS: "kMAC a pixel, encoder and decoder"}
MARKS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)  # of the axis of MS-SSIM
DASHES = ("-", "--", ":", "-.")


def draw(comparison: Comparison, curve_of: CurveOf, baselines: Sequence[Curve], title: str, path: Path) -> None:
    """Write an SVG file with three plots of the mean curves of the settings: MS-SSIM and PSNR against bits per pixel,
    and MS-SSIM against the operations up to each iteration. The first option that differs gives the colour of a curve,
    the others its dashes. ``baselines`` are grey. The same runs give the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure  # not pyplot, which looks for a display

    with matplotlib.rc_context({"svg.hashsalt": "rnncodec"}):
        figure = Figure(figsize=(13, 5), layout="constrained")
        figure.suptitle(title, fontsize="medium")
        panels = list(zip(figure.subplots(1, len(PANELS)), PANELS, strict=True))
        for curve, style in styled(comparison, curve_of):
            for axes, (metric, against) in panels:
                axes.plot(*zip(*curve.points(metric, against), strict=True), label=as_label(curve.name), **style)
        for axes, (metric, against) in panels:
            limits = axes.dataLim.get_points().T.tolist()  # those of the settings, not of the baselines
            for curve in baselines:
                points = curve.points(metric, against)
                axes.plot(
                    [x for x, _ in points], [y for _, y in points], color="grey", lw=1, label=as_label(curve.name)
                )
            finish(axes, metric, against, limits)
        names, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(names, labels, loc="outside lower center", ncols=5, fontsize="small")
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})


def styled(comparison: Comparison, curve_of: CurveOf) -> list[tuple[Curve, dict[str, Any]]]:
    """The mean curve of each setting that has one, with OPERATIONS and the options of its line."""
    from matplotlib import color_sequences

    values = list(zip(*comparison.options.values(), strict=True))
    colours = dict(zip(dict.fromkeys(first for first, *_ in values), cycle(color_sequences["tab10"])))
    dashes = dict(zip(dict.fromkeys(tuple(others) for _, *others in values), cycle(DASHES)))
    found = []
    for setting, label, (first, *others) in zip(comparison.settings, comparison.labels, values, strict=True):
        curve = setting.curve(curve_of)
        if curve is not None:
            spent = [setting.first.cost.coding(t + 1) for t in range(len(curve.results["bpp"]))]
            named = replace(curve, name=label, results=curve.results | {OPERATIONS: spent})
            line = {"color": colours[first], "ls": dashes[tuple(others)], "marker": "o", "ms": 3, "lw": 1.5}
            found.append((named, line))
    return found


def finish(axes: Any, metric: str, against: str, limits: list[list[float]]) -> None:
    """Give a plot its names, its grid and its limits. The axis of MS-SSIM is logarithmic in 1 - MS-SSIM."""
    (_, right), (low, high) = limits
    axes.set(xlabel=AXES[against], ylabel=METRICS[metric], xlim=(0, 1.03 * right))
    if metric == "ms-ssim-rgb":
        axes.set_yscale("function", functions=(lambda x: -np.log10(np.maximum(1 - x, 1e-9)), lambda y: 1 - 10.0**-y))
        axes.set_yticks(MARKS, [f"{mark:g}" for mark in MARKS])
        axes.set_ylim(1 - 1.1 * (1 - low), 1 - (1 - high) / 1.1)
    else:
        axes.set_ylim(low - 0.5, high + 0.5)
    axes.grid(alpha=0.3)
