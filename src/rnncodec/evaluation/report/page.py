"""The page of the report: one HTML file with all that it needs."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from statistics import fmean
from typing import Any

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
AGAINST = {"bpp": "bits per pixel", DECODING_MACS: "kMAC a pixel to decode"}  # what quality is drawn against


def report_curves(sources: Sequence[Source]) -> list[tuple[str, Curve]]:
    """Every curve to draw, with its kind: those of the settings of the sources first, then each baseline and anchor
    once."""
    own = [
        ("codec" if setting.sources[0].evaluation else "published", setting.curve)
        for setting in settings(sources)
        if setting.curve
    ]
    others: list[tuple[str, Curve]] = []
    for source in sources:
        if source.evaluation is None:
            continue
        anchors = source.evaluation.about.anchors
        for curve in source.evaluation.curves[1:]:
            kind = "published" if curve.name in anchors else "baseline"
            same_name = [other for _, other in others if other.name == curve.name]
            if any(all(curve.points(metric) == other.points(metric) for metric in METRICS) for other in same_name):
                continue  # the same curve; only the times may differ
            if same_name:  # measured on other images
                curve = replace(curve, name=f"{curve.name} ({source.name})")
            others.append((kind, curve))
    return own + others


def baseline_of(curves: Sequence[tuple[str, Curve]], name: str | None) -> Curve | None:
    """The one of `report_curves` that BD-rates are computed against: of this name, measured rather than published."""
    wanted = ("baseline", "published")
    return next((curve for each in wanted for kind, curve in curves if (kind, curve.name) == (each, name)), None)


def compared(sources: Sequence[Source]) -> tuple[list[tuple[str, Curve]], Curve | None, list[Summary]]:
    """The `report_curves` of ``sources``, the one that the first evaluation compares to, if there is any, and what each
    curve gives."""
    curves = report_curves(sources)
    names = [source.evaluation.about.compare_to for source in sources if source.evaluation]
    baseline = baseline_of(curves, names[0] if names else None)
    return curves, baseline, [summarize(curve, baseline, kind == "published") for kind, curve in curves]


def render(sources: Sequence[Source], photos: int, on_layer: Callable[[], object] = lambda: None) -> str:
    """The page, as HTML. It shows ``photos`` photos of each evaluation; ``on_layer`` is called after each layer of
    them."""
    curves, baseline, summaries = compared(sources)
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
    image_sets = {frozenset(e.about.images[image] for image in e.about.measured) for _, e in evaluations}
    options = {setting.name: setting.options if len(setting.sources) == 1 else "" for setting in shown}
    environment = Environment(loader=PackageLoader(__name__, "page"), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html").render(
        names=[source.name for source in sources],
        images=[f"{source.name}: mean of {counted(len(e.about.measured), 'image')}." for source, e in evaluations],
        same_images=len(image_sets) <= 1,
        broken=[f"{name}: {why}" for _, evaluation in evaluations for name, why in evaluation.about.broken.items()],
        headings=[*headings(baseline.name if baseline else None), *NETWORK],
        rows=rows,
        note=" ".join(notes(summaries)),
        metrics=METRICS,
        against=[(key, title) for key, title in AGAINST.items() if any(key in curve.results for _, curve in curves)],
        curves=[curve for _, curve in curves],
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
                    {**curve_data(kind, curve), "options": options.get(curve.name, "")} for kind, curve in curves
                ],
                "viewers": viewers,
                "training": [
                    {"name": setting.name, "options": options[setting.name], "series": pairs(setting.training)}
                    for setting in shown
                    if setting.training
                ],
            }
        ),
        style=asset("style.css"),
        script=asset("script.js"),
    )


def pairs(series: Series) -> dict[str, list[tuple[int, float]]]:
    """Logged values in the form that the script of the page reads."""
    return {name: list(values.items()) for name, values in series.items()}


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
