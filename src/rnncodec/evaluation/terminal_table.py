"""The table of codecs on the terminal, in which 80 columns hold long names."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from rnncodec.evaluation.summary import ABSENT, TARGETS, Summary, marked_area, notes


def terminal_table(summaries: Sequence[Summary], compare_to: str | None, title: str) -> Table:
    """A table with one row for each of ``summaries``, of what they say by MS-SSIM."""
    marks = " ".join(["By MS-SSIM.", *notes(summaries)])
    table = Table(title=title, caption=marks, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("codec", overflow="fold", min_width=min(28, max(len(each.title) for each in summaries)))
    baseline = compare_to or "a baseline"
    for heading in (*(f"bpp at\n{target:.2f}" for target in TARGETS), "area", f"over\n{baseline}", "BD-rate"):
        table.add_column(heading, justify="right", min_width=6)
    for summary in summaries:
        rates = [ABSENT if rate is None else f"{rate:.3f}" for rate in summary.rates]
        area = marked_area(summary, summary.area_ms_ssim, 4)
        over = ABSENT if summary.over_baseline is None else f"{summary.over_baseline.difference:+.4f}"
        rate = ABSENT if summary.bd_ms_ssim is None else f"{summary.bd_ms_ssim.percent:+.1f} %"
        table.add_row(escape(summary.title), *rates, area, over, rate)
    return table
