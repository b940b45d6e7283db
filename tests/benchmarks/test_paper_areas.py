import numpy as np
import pytest
from PIL import Image

from benchmarks.loss_scales import fit
from benchmarks.paper_areas import AREAS, JPEG, MEASURES, TABLES, areas, conventions_text, measure_quality
from rnncodec.evaluation.rate_distortion import area
from rnncodec.pictures.pixels import Pixels

RATES = np.array([0.1, 0.3, 0.8, 2.5])
VALUES = np.array([0.8, 0.9, 0.95, 1.0])


def test_areas_are_those_of_the_conventions() -> None:
    found = {name: convention(RATES, VALUES) for name, convention in AREAS.items()}
    assert found["from (0, 0)"] == pytest.approx(area(list(zip(RATES.tolist(), VALUES.tolist(), strict=True))))
    assert found["from the first point"] == pytest.approx(found["from (0, 0)"] - 0.1 * 0.8 / 2)
    assert found["from 0 bpp, at the first point's quality"] == pytest.approx(found["from (0, 0)"] + 0.1 * 0.8 / 2)
    assert found["from 0.2 bpp"] == pytest.approx(found["from the first point"] - 0.1 * 0.825)
    constant = {name: convention(RATES, np.ones(4)) for name, convention in AREAS.items()}
    assert [constant[name] for name in AREAS if "twice" in name] == pytest.approx([2.0, 2.0, 2.0])
    grid = np.geomspace(0.125, 2, 500)
    assert AREAS["twice the mean from 0.125 bpp over log(bpp)"](grid, np.log2(grid)) == pytest.approx(-2.0, abs=1e-3)


def test_the_nearest_convention_is_named() -> None:
    measured = np.ones((2, 3, len(TABLES) + len(MEASURES)))
    measured[..., :2] = [[0.1], [1.0], [2.0]]
    for column, measure in enumerate(MEASURES.values(), start=len(TABLES)):
        measured[..., column] = JPEG[measure] / 2
    measured[..., 3] = 0.5
    text = conventions_text(areas(measured), 2)
    assert "1.7998 (+0.0 %)" in text
    assert "Nearest to both numbers of the paper: from 0 bpp, at the first point's quality, the mean curve" in text
    assert text.count("| from (0, 0) |") == 2 * len(TABLES)


def test_jpeg_is_measured_by_all_measures(photos: list[Pixels]) -> None:
    photo = np.asarray(Image.fromarray(photos[0]).resize((192, 192)))
    low, high = (measure_quality(photo, quality) for quality in (20, 90))
    assert len(low) == len(TABLES) + len(MEASURES)
    assert low[0] < low[1]  # optimised Huffman tables
    assert all(better > worse for worse, better in zip(low, high, strict=True))


def test_a_power_law_is_fitted() -> None:
    scale, fall = fit(0.2 / np.arange(1, 9) ** 0.7)
    assert (scale, fall) == (pytest.approx(0.2), pytest.approx(0.7))
