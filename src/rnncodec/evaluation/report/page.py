"""The page of the report: one HTML file with all that it needs."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from statistics import fmean
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from rnncodec.errors import PackageError
from rnncodec.evaluation.curves import DECODING_MACS, METRICS, Curve
from rnncodec.evaluation.report.viewer import LONGEST, RATE, WORST, choose, ranked, view
from rnncodec.evaluation.results import Evaluation
from rnncodec.evaluation.settings import settings
from rnncodec.evaluation.sources import Series, Source, known_differences
from rnncodec.evaluation.summary import ABSENT, PUBLISHED, Summary, cells, headings, notes, summarize
from rnncodec.terminal import counted

NETWORK = ("parameters", "kMAC a pixel and iteration, encoder / decoder", "steps")  # columns of networks
MOST_POINTS = 1000  # of a logged series
AGAINST = {"bpp": "bits per pixel", DECODING_MACS: "kMAC a pixel to decode"}  # what quality is drawn against


class ReportCurve(NamedTuple):
    """A curve to draw. ``kind`` is ``codec``, ``baseline`` or ``published``; ``baseline`` is the curve that its
    BD-rates are computed against, of the same photos, or None."""

    kind: str
    curve: Curve
    baseline: Curve | None


def report_curves(sources: Sequence[Source]) -> list[ReportCurve]:
    """Every curve to draw: those of the settings of the sources first, then each baseline and anchor once. A published
    curve, which has no baseline of its own, is compared to the first one that there is."""
    baselines = [baseline_of(source.evaluation) for source in sources]
    first = next(filter(None, baselines), None)
    own = [
        ReportCurve("codec", setting.curve, baseline_of(setting.sources[0].evaluation))
        if setting.sources[0].evaluation
        else ReportCurve("published", setting.curve, first)
        for setting in settings(sources)
        if setting.curve
    ]
    others: list[ReportCurve] = []
    for source, baseline in zip(sources, baselines, strict=True):
        if source.evaluation is None:
            continue
        anchors = source.evaluation.about.anchors
        for curve in source.evaluation.curves[1:]:
            kind = "published" if curve.name in anchors else "baseline"
            same_name = [other.curve for other in others if other.curve.name == curve.name]
            if any(all(curve.points(metric) == other.points(metric) for metric in METRICS) for other in same_name):
                continue  # the same curve; only the times may differ
            if same_name:  # measured on other images
                curve = replace(curve, name=f"{curve.name} ({source.name})")
            others.append(ReportCurve(kind, curve, baseline))
    return own + others


def baseline_of(evaluation: Evaluation | None) -> Curve | None:
    """The curve that BD-rates of ``evaluation`` are computed against, if it has measured that, or read it."""
    if evaluation is None:
        return None
    return next((curve for curve in evaluation.curves[1:] if curve.name == evaluation.about.compare_to), None)


def compared(curves: Sequence[ReportCurve]) -> tuple[list[Summary], str | None]:
    """What each of the ``curves`` gives, and the name of what they are compared to, if it is one for all."""
    names = {baseline.name for _, _, baseline in curves if baseline}
    summaries = [summarize(curve, baseline, kind == "published") for kind, curve, baseline in curves]
    return summaries, names.pop() if len(names) == 1 else None


def of_several_sets(sources: Sequence[Source]) -> bool:
    """Whether the evaluations among ``sources`` have measured different photos."""
    found = [source.evaluation.about for source in sources if source.evaluation]
    return len({frozenset(about.images[image] for image in about.measured) for about in found}) > 1


def render(sources: Sequence[Source], photos: int, on_layer: Callable[[], object] = lambda: None) -> str:
    """The page, as HTML. It shows ``photos`` photos of each evaluation; ``on_layer`` is called after each layer of
    them."""
    curves = report_curves(sources)
    summaries, against = compared(curves)
    evaluations = [(source, source.evaluation) for source in sources if source.evaluation]
    shown = settings(sources)
    networks = {setting.name: network_cells(setting.sources[0]) for setting in shown}
    rows = [[*cells(summary), *networks.get(summary.name, [ABSENT] * len(NETWORK))] for summary in summaries]
    viewers, worst, complaints = [], [], []
    chosen: dict[frozenset[str], set[str]] = {}  # the same photos for all evaluations of a set, to compare them
    for source, evaluation in evaluations:
        hashes = evaluation.about.images
        same = chosen.setdefault(frozenset(hashes.values()), {hashes[str(path)] for path in choose(evaluation, photos)})
        views, complaint = view(evaluation, same, on_layer)
        viewers += [{**photo, "codec": source.name} for photo in views]
        worst.append(f"{source.name}: {worst_in_words(evaluation)}")
        if complaint:
            complaints.append(f"{source.name}: {complaint}")
    options = {setting.name: setting.options if len(setting.sources) == 1 else "" for setting in shown}
    environment = Environment(loader=PackageLoader(__name__, "page"), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html").render(
        names=[source.name for source in sources],
        images=[f"{source.name}: mean of {counted(len(e.about.measured), 'image')}." for source, e in evaluations],
        same_images=not of_several_sets(sources),
        broken=[f"{name}: {why}" for _, evaluation in evaluations for name, why in evaluation.about.broken.items()],
        headings=[*headings(against), *NETWORK],
        rows=rows,
        note=" ".join(notes(summaries)),
        metrics=METRICS,
        against=[(key, title) for key, title in AGAINST.items() if any(key in curve.results for _, curve, _ in curves)],
        curves=[curve for _, curve, _ in curves],
        viewers=viewers,
        worst=worst,
        complaints=complaints,
        longest=LONGEST,
        compared=[source.name for source in sources if source.options],
        differences=known_differences([source.options for source in sources if source.options]),
        training=any(source.training for source in sources),
        data=embed(
            {
                "metrics": METRICS,
                "against": AGAINST,
                "curves": [
                    {**curve_data(kind, curve), "options": options.get(curve.name, "")} for kind, curve, _ in curves
                ],
                "viewers": viewers,
                "training": [
                    {"name": setting.name, "options": options[setting.name], "series": pairs(training)}
                    for setting in shown
                    if (training := setting.training)
                ],
            }
        ),
        style=asset("style.css"),
        script=asset("script.js"),
    )


def pairs(series: Series) -> dict[str, list[tuple[int, float]]]:
    """Logged values in the form that the script of the page reads: about MOST_POINTS of each, the last one too."""
    found = {}
    for name, values in series.items():
        every = max(1, -(-len(values) // MOST_POINTS))
        found[name] = list(values.items())[::-every][::-1]
    return found


def network_cells(source: Source) -> list[str]:
    """The values of NETWORK for a source; ABSENT where it has no network."""
    if source.evaluation is None:
        return [ABSENT] * len(NETWORK)
    about = source.evaluation.about
    steps = about.training.get("steps")
    try:
        network = [f"{about.cost.parameters / 1e6:.2f} M", f"{about.cost.encoder:.1f} / {about.cost.decoder:.1f}"]
    except PackageError:  # parts of a package that is not imported for a report
        network = [ABSENT, ABSENT]
    return [
        *network,
        f"{steps:,}" if isinstance(steps, int) else ABSENT,
    ]


def worst_in_words(evaluation: Evaluation) -> str:
    """The photos with the lowest quality, in words."""
    qualities = ranked(evaluation)
    if not qualities:
        return "no photo is large enough for MS-SSIM."
    named = [f"{path.stem} ({quality:.4f})" for path, quality in list(qualities.items())[:WORST]]
    return f"worst at {RATE:g} bpp, by MS-SSIM: {', '.join(named)}; the mean is {fmean(qualities.values()):.4f}."


def curve_data(kind: str, curve: Curve) -> dict[str, Any]:
    """A curve in the form that the script of the page reads."""
    points = {
        against: {metric: curve.points(metric, against) for metric in METRICS if curve.points(metric, against)}
        for against in AGAINST
    }
    return {"name": curve.name + (PUBLISHED if kind == "published" else ""), "kind": kind, "points": points}


def embed(data: Any) -> str:
    """JSON that can stand inside a script element."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def asset(name: str) -> str:
    return (files(__package__ or "") / "page" / name).read_text()
