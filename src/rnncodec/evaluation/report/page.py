"""The page of the report: one HTML file with all that it needs."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from statistics import fmean
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from rnncodec.evaluation.curves import DECODING_MACS, METRICS, Curve
from rnncodec.evaluation.report.viewer import LONGEST, RATE, WORST, ranked, view
from rnncodec.evaluation.results import Evaluation
from rnncodec.evaluation.sources import Source, differences
from rnncodec.evaluation.summary import PUBLISHED, cells, headings, notes, summarize

AGAINST = {"bpp": "bits per pixel", DECODING_MACS: "kMAC a pixel to decode"}  # what quality is drawn against


def report_curves(sources: Sequence[Source]) -> list[tuple[str, Curve]]:
    """Every curve to draw, with its kind: the curves of the sources first, then each baseline and anchor once."""
    own = [
        (
            "codec" if source.evaluation else "published",
            Curve(source.name, source.curve.description, source.curve.results),
        )
        for source in sources
        if source.curve
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


def render(sources: Sequence[Source], photos: int, on_layer: Callable[[], object] = lambda: None) -> str:
    """The page, as HTML. It shows ``photos`` photos of each evaluation; ``on_layer`` is called after each layer of
    them."""
    curves = report_curves(sources)
    evaluations = [(source, source.evaluation) for source in sources if source.evaluation]
    compare_to = evaluations[0][1].about.compare_to if evaluations else None
    baseline = next((curve for _, curve in curves if curve.name == compare_to), None)
    summaries = [summarize(curve, baseline, kind == "published") for kind, curve in curves]
    rows = [cells(summary) for summary in summaries]
    viewers, worst, complaints = [], [], []
    for source, evaluation in evaluations:
        views, complaint = view(evaluation, photos, on_layer)
        viewers += [{**photo, "codec": source.name} for photo in views]
        worst.append(f"{source.name}: {worst_in_words(evaluation)}")
        if complaint:
            complaints.append(f"{source.name}: {complaint}")
    image_sets = {frozenset(e.about.images[image] for image in e.about.measured) for _, e in evaluations}
    environment = Environment(loader=PackageLoader(__name__, "page"), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html").render(
        names=[source.name for source in sources],
        images=[f"{source.name}: mean of {len(e.about.measured)} images." for source, e in evaluations],
        same_images=len(image_sets) <= 1,
        broken=[f"{name}: {why}" for _, evaluation in evaluations for name, why in evaluation.about.broken.items()],
        headings=headings(baseline.name if baseline else None),
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
        differences=differences([source.options for source in sources if source.options]),
        training=any(source.training for source in sources),
        data=embed(
            {
                "metrics": METRICS,
                "against": AGAINST,
                "curves": [curve_data(kind, curve) for kind, curve in curves],
                "viewers": viewers,
                "training": [
                    {"name": s.name, "series": {name: list(values.items()) for name, values in s.training.items()}}
                    for s in sources
                    if s.training
                ],
            }
        ),
        style=asset("style.css"),
        script=asset("script.js"),
    )


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
