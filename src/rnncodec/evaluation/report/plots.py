"""Static plots of the curves, for papers."""

from collections.abc import Sequence
from pathlib import Path

from rnncodec.atomic_file import replacing
from rnncodec.evaluation.curves import METRICS
from rnncodec.evaluation.rate_distortion import LIMIT
from rnncodec.evaluation.report.page import ReportCurve
from rnncodec.evaluation.summary import PUBLISHED

STYLES = {"codec": "o-", "baseline": ".--", "published": ".:"}


def write_plots(curves: Sequence[ReportCurve], folder: Path) -> list[Path]:
    """Draw one plot for each metric that a curve has, as PNG and as SVG in ``folder``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot, which looks for a display

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for metric, title in METRICS.items():
        drawn = [(kind, curve, curve.points(metric)) for kind, curve, _ in curves if curve.points(metric)]
        if not drawn:
            continue
        figure = Figure(figsize=(7, 5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for kind, curve, points in drawn:
            axes.plot(
                *zip(*points, strict=True),
                STYLES[kind],
                label=as_label(curve.name + (PUBLISHED if kind == "published" else "")),
            )
        axes.set(xlabel="bits per pixel", ylabel=title, xlim=(0, LIMIT))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        for ending in ("png", "svg"):
            written.append(folder / f"{metric}.{ending}")
            with replacing(written[-1]) as temporary:
                figure.savefig(temporary, dpi=200, format=ending)
    return written


def as_label(name: str) -> str:
    """``name`` as matplotlib shows it unchanged: it takes text between dollars for a formula."""
    return name.replace("$", r"\$")
