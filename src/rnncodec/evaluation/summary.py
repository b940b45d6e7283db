"""The numbers that codecs are compared by, from their curves, and Markdown tables of these numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from rnncodec.evaluation.curves import Curve
from rnncodec.evaluation.rate_distortion import LIMIT, AreaDifference, BDRate, area, area_difference, bd_rate, rate_at

TARGETS = (0.90, 0.95, 0.98)  # MS-SSIM
SCORES = (40, 60)  # SSIMULACRA 2: between low and medium, and between medium and high quality
ABSENT = "–"
SHORT = "*"  # marks the area under a curve that ends before LIMIT
PUBLISHED = "†"  # marks a published curve
PUBLISHED_NOTE = f"{PUBLISHED} Published: a mean over the photos of its authors, which may be others than those here."
NOTE = f"{SHORT} The curve ends before {LIMIT:g} bpp; the area takes its last quality from there on."


@dataclass(frozen=True)
class Summary:
    """The last rate of a curve in bits per pixel, the areas up to LIMIT, by how much the area of MS-SSIM is over that
    of the baseline, the rates at each of TARGETS and of SCORES, and the BD-rates against the baseline. A value is None
    if the curve does not cover it. ``published`` curves are of the photos that their authors took."""

    name: str
    ends_at: float
    area_ms_ssim: float | None
    area_psnr_hvs: float | None
    over_baseline: AreaDifference | None
    rates: tuple[float | None, ...]
    score_rates: tuple[float | None, ...]
    bd_ssimulacra2: BDRate | None
    bd_ms_ssim: BDRate | None
    bd_psnr: BDRate | None
    published: bool = False

    @property
    def title(self) -> str:
        """The name in tables, with PUBLISHED if the curve is a published one."""
        return self.name + (PUBLISHED if self.published else "")


def summarize(curve: Curve, baseline: Curve | None, published: bool = False) -> Summary:
    """The Summary of ``curve``, with BD-rates against ``baseline``."""

    def area_of(metric: str) -> float | None:
        points = curve.points(metric)
        return area(points) if points else None

    def bd_of(metric: str) -> BDRate | None:
        return bd_rate(baseline.points(metric), curve.points(metric)) if baseline else None

    return Summary(
        curve.name,
        max(curve.results["bpp"]),
        area_of("ms-ssim-rgb"),
        area_of("psnr-hvs-y"),
        area_difference(baseline.points("ms-ssim-rgb"), curve.points("ms-ssim-rgb")) if baseline else None,
        tuple(rate_at(curve.points("ms-ssim-rgb"), target) for target in TARGETS),
        tuple(rate_at(curve.points("ssimulacra2"), score) for score in SCORES),
        bd_of("ssimulacra2"),
        bd_of("ms-ssim-rgb"),
        bd_of("psnr-rgb"),
        published,
    )


def headings(baseline: str | None) -> list[str]:
    """The headings of the columns of `cells`."""
    against = f" against {baseline}" if baseline else ""
    return [
        "codec",
        *(f"bpp at SSIMULACRA2 {score}" for score in SCORES),
        *(f"bpp at {target:.2f}" for target in TARGETS),
        f"area, MS-SSIM to {LIMIT:g} bpp",
        "area, PSNR-HVS",
        f"area, MS-SSIM, over {baseline}" if baseline else "area, MS-SSIM, over a baseline",
        f"BD-rate, SSIMULACRA2{against}",
        f"BD-rate, MS-SSIM{against}",
        f"BD-rate, PSNR{against}",
    ]


def cells(summary: Summary) -> list[str]:
    """The values of a Summary as text, one for each of `headings`."""
    return [
        summary.title,
        *(_number(rate, 3) for rate in (*summary.score_rates, *summary.rates)),
        marked_area(summary, summary.area_ms_ssim, 4),
        marked_area(summary, summary.area_psnr_hvs, 2),
        over_baseline(summary),
        _bd(summary.bd_ssimulacra2, 1),
        _bd(summary.bd_ms_ssim, 3),
        _bd(summary.bd_psnr, 1),
    ]


def over_baseline(summary: Summary) -> str:
    """The difference of the areas, and the rates that both curves cover."""
    found = summary.over_baseline
    return ABSENT if found is None else f"{found.difference:+.4f} ({found.low:.2f}–{found.high:.2f})"


def summary_table(summaries: Sequence[Summary], baseline: str | None) -> str:
    """A Markdown table with one row for each codec."""
    table = markdown(headings(baseline), [cells(summary) for summary in summaries])
    found = notes(summaries)
    return table + (f"\n{' '.join(found)}\n" if found else "")


def notes(summaries: Sequence[Summary]) -> list[str]:
    """What the marks in a table of ``summaries`` mean."""
    short = any(each.ends_at < LIMIT for each in summaries)
    return [
        note for note, there in ((NOTE, short), (PUBLISHED_NOTE, any(each.published for each in summaries))) if there
    ]


def point_table(curve: Curve) -> str:
    """A Markdown table of a measured curve with one row for each setting. Where some images have no MS-SSIM, the rates
    of the others have a column of their own."""
    columns = {  # heading: key, decimals
        "iteration": ("setting", 0),
        "bpp": ("bpp", 4),
        "bpp of MS-SSIM": ("bpp of ms-ssim-rgb", 4),
        "MS-SSIM": ("ms-ssim-rgb", 4),
        "SSIMULACRA2": ("ssimulacra2", 1),
        "PSNR (dB)": ("psnr-rgb", 2),
        "PSNR-HVS (dB)": ("psnr-hvs-y", 2),
        "encode (s)": ("encoding_time", 2),
        "decode (s)": ("decoding_time", 2),
    }
    columns = {heading: kept for heading, kept in columns.items() if kept[0] in curve.results}
    rows = zip(
        *([f"{value:.{decimals}f}" for value in curve.results[key]] for key, decimals in columns.values()), strict=True
    )
    return markdown(list(columns), [list(row) for row in rows])


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table. The first column is aligned left, the others right."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def marked_area(summary: Summary, value: float | None, decimals: int) -> str:
    """An area as text, with SHORT if the curve ends before LIMIT."""
    mark = SHORT if value is not None and summary.ends_at < LIMIT else ""
    return _number(value, decimals) + mark


def _number(value: float | None, decimals: int) -> str:
    return ABSENT if value is None else f"{value:.{decimals}f}"


def _bd(value: BDRate | None, decimals: int) -> str:
    if value is None:
        return ABSENT
    return f"{value.percent:+.1f} % ({value.low:.{decimals}f}–{value.high:.{decimals}f})"
