"""What a rate–distortion curve comes to. A curve is a list of pairs: bits a pixel, quality (more is better)."""

import math
import warnings
from dataclasses import dataclass
from itertools import pairwise

Points = list[tuple[float, float]]

LIMIT = 2.0  # bits a pixel up to which the area is taken


def area(points: Points, limit: float = LIMIT) -> float:
    """The area under the curve from (0, 0) to ``limit`` bits a pixel, linear between points (Toderici et al. 2017).

    A curve that ends before stays at its last quality: more bytes than a codec can use do not make its picture worse.
    """
    curve = [(0.0, 0.0), *sorted(points)]
    curve.append((max(limit, curve[-1][0]), curve[-1][1]))
    total = 0.0
    for (left, low), (right, high) in pairwise(curve):
        if left < limit and right > left:
            end = min(right, limit)
            total += (end - left) * (low + low + (high - low) * (end - left) / (right - left)) / 2
    return total


def rate_at(points: Points, quality: float) -> float | None:
    """The bits a pixel at which the curve first reaches ``quality``, linear between points; None where it does not, or
    where its first point is better already."""
    curve = improving(points)
    for (left, low), (right, high) in pairwise(curve):
        if low <= quality <= high:
            return left + (right - left) * (quality - low) / (high - low)
    return None


@dataclass(frozen=True)
class BDRate:
    """How many per cent more bits than the anchor, on average over the qualities from ``low`` to ``high``."""

    percent: float
    low: float
    high: float


def bd_rate(anchor: Points, test: Points) -> BDRate | None:
    """Bjøntegaard's delta rate of ``test`` against ``anchor``, by Akima interpolation of the logarithm of the rate,
    over the qualities that both cover; None where they share none, or one has a single point.

    Points that more bits did not make better are left out: the rate must be a function of the quality.
    """
    import bjontegaard  # which brings matplotlib

    first, second = improving(anchor), improving(test)
    if min(len(first), len(second)) < 2:
        return None
    low = max(first[0][1], second[0][1])
    high = min(first[-1][1], second[-1][1])
    if low >= high:
        return None
    rates, qualities = zip(*first, strict=True)
    test_rates, test_qualities = zip(*second, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a short overlap, which is printed beside the value
        percent = bjontegaard.bd_rate(
            rates, qualities, test_rates, test_qualities, method="akima", require_matching_points=False
        )
    return None if math.isnan(percent) else BDRate(float(percent), low, high)


def improving(points: Points) -> Points:
    """The points, by rising rate, that are better than all cheaper ones."""
    kept: Points = []
    for rate, quality in sorted(points):
        if not kept or (quality > kept[-1][1] and rate > kept[-1][0]):
            kept.append((rate, quality))
    return kept
