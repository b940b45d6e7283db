import bjontegaard
import pytest

from rnncodec.evaluation.rate_distortion import area, area_difference, bd_rate, improving, rate_at

# The example in the bjontegaard package's documentation, and two of its curves reversed or cut.
ANCHOR = [(9487.76, 40.037), (4593.60, 38.615), (2486.44, 36.845), (1358.24, 34.851)]
TEST = [(9787.80, 40.121), (4469.00, 38.651), (2451.52, 36.970), (1356.24, 34.987)]


def test_area_by_hand() -> None:
    assert area([(1.0, 1.0)]) == 1.5  # a triangle of ½, then a square of 1
    assert area([(0.5, 0.8), (1.0, 0.9), (2.0, 1.0)]) == pytest.approx(0.2 + 0.425 + 0.95)
    assert area([(1.0, 0.5), (3.0, 1.0)]) == pytest.approx(0.25 + (0.5 + 0.75) / 2)  # cut at 2 bpp, where it is 0.75
    assert area([(4.0, 1.0)]) == pytest.approx(0.5)  # the line from (0, 0) reaches 0.5 there
    assert area([(2.0, 1.0), (0.5, 0.8), (1.0, 0.9)]) == area([(0.5, 0.8), (1.0, 0.9), (2.0, 1.0)])


def test_rate_at_by_hand() -> None:
    curve = [(0.25, 0.8), (0.5, 0.9), (1.0, 1.0)]
    assert rate_at(curve, 0.85) == pytest.approx(0.375)
    assert rate_at(curve, 0.9) == pytest.approx(0.5)
    assert rate_at(curve, 0.98) == pytest.approx(0.9)
    assert rate_at(curve, 0.7) is None
    assert rate_at(curve[:2], 0.95) is None
    assert rate_at([(0.25, 0.8), (0.5, 0.7), (0.75, 0.9)], 0.85) == pytest.approx(0.5)


def test_rate_of_published_jpeg() -> None:
    """Kodak, JPEG 4:2:0: 0.90 lies between the published points .8934 at .2555 bpp and .9272 at .3587."""
    assert rate_at([(0.2555, 0.8934), (0.3587, 0.9272)], 0.90) == pytest.approx(0.2757, abs=1e-4)


def test_bd_rate_is_that_of_the_package() -> None:
    rates, qualities = zip(*ANCHOR, strict=True)
    test_rates, test_qualities = zip(*TEST, strict=True)
    expected = bjontegaard.bd_rate(rates, qualities, test_rates, test_qualities, method="akima")
    found = bd_rate(ANCHOR, TEST)
    assert found is not None
    assert found.percent == pytest.approx(expected)
    assert (found.low, found.high) == (34.987, 40.037)
    assert -10 < found.percent < 0


def test_bd_rate_of_a_codec_that_needs_half_the_bits() -> None:
    halved = [(rate / 2, quality) for rate, quality in ANCHOR]
    found = bd_rate(ANCHOR, halved)
    assert found is not None
    assert found.percent == pytest.approx(-50.0)
    back = bd_rate(halved, ANCHOR)
    assert back is not None
    assert back.percent == pytest.approx(100.0)


def test_bd_rate_covers_the_qualities_of_both_curves() -> None:
    shorter = bd_rate(ANCHOR, TEST[1:])
    assert shorter is not None
    assert (shorter.low, shorter.high) == (34.987, 38.651)
    assert bd_rate(ANCHOR, [(1000.0, 20.0), (2000.0, 25.0)]) is None
    assert bd_rate(ANCHOR, TEST[:1]) is None
    assert bd_rate(ANCHOR, []) is None


def test_points_that_more_bits_do_not_improve_are_left_out() -> None:
    assert improving([(3, 0.9), (1, 0.5), (2, 0.4), (2.5, 0.5), (3, 0.95)]) == [(1, 0.5), (3, 0.9)]


def test_the_difference_of_areas_is_over_the_rates_that_both_curves_cover() -> None:
    anchor, test = [(0.5, 0.8), (3.0, 0.8)], [(0.1, 0.9), (1.5, 0.9)]
    found = area_difference(anchor, test)
    assert found is not None
    assert (found.low, found.high) == (0.5, 1.5)
    assert found.difference == pytest.approx(0.1)
    assert area_difference([(0.1, 0.5), (0.2, 0.6)], [(0.3, 0.5), (0.4, 0.6)]) is None
