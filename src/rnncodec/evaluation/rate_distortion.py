"""Numbers that summarise a rate–distortion curve, given as a list of pairs: bits per pixel, quality (more is
better)."""

import math
import warnings
from dataclasses import dataclass
from itertools import pairwise

Points = list[tuple[float, float]]

LIMIT = 2.0  # bits per pixel; the area is computed up to here


def area(points: Points, limit: float = LIMIT) -> float:
    """The area under the curve from (0, 0) to ``limit`` bits a pixel, linear between points (Toderici et al. 2017).

    A curve that ends before ``limit`` is continued at its last quality.
    """
    curve = [(0.0, 0.0), *sorted(points)]
    curve.append((max(limit, curve[-1][0]), curve[-1][1]))
    total = 0.0
    for (left, low), (right, high) in pairwise(curve):
        if left < limit and right > left:
            end = min(right, limit)
            total += (end - left) * (low + low + (high - low) * (end - left) / (right - left)) / 2
    return total


@dataclass(frozen=True)
class AreaDifference:
    """How much larger the area under one curve is than under another, from ``low`` to ``high`` bits a pixel, where both
    have points. On average over these rates, ``difference / (high - low)`` is the difference in quality."""

    difference: float
    low: float
    high: float


def area_difference(anchor: Points, test: Points) -> AreaDifference | None:
    """The area under ``test`` less that under ``anchor``, over the rates that both curves cover, at most to LIMIT. So a
    curve gains nothing by beginning or by ending early. None if they cover no rates together."""
    if not anchor or not test:
        return None
    low = max(min(anchor)[0], min(test)[0])
    high = min(LIMIT, max(anchor)[0], max(test)[0])
    if low >= high:
        return None
    between = [area(points, high) - area(points, low) for points in (anchor, test)]
    return AreaDifference(between[1] - between[0], low, high)


def rate_at(points: Points, quality: float) -> float | None:
    """The bits per pixel at which the curve first reaches ``quality``, linear between points. None if the curve does
    not reach it, or if its first point is already better."""
    curve = improving(points)
    for (left, low), (right, high) in pairwise(curve):
        if low <= quality <= high:
            return left + (right - left) * (quality - low) / (high - low)
    return None


@dataclass(frozen=True)
class BDRate:
    """The difference in bits from the anchor, in per cent, on average over the qualities from ``low`` to ``high``."""

    percent: float
    low: float
    high: float


def bd_rate(anchor: Points, test: Points) -> BDRate | None:
    """Bjøntegaard's delta rate of ``test`` against ``anchor``, by Akima interpolation of the logarithm of the rate,
    over the qualities that both curves cover. None if there are none, or if a curve has only one point.

    Points that are not better than a point with fewer bits are left out, so that rate is a function of quality.
    """
    import bjontegaard  # it imports matplotlib, which takes long

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
    """The points that are better than all points with fewer bits, sorted by rate."""
    kept: Points = []
    for rate, quality in sorted(points):
        if not kept or (quality > kept[-1][1] and rate > kept[-1][0]):
            kept.append((rate, quality))
    return kept
