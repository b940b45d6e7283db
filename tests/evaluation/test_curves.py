import json
from pathlib import Path

import pytest

from rnncodec.errors import DataError
from rnncodec.evaluation.curves import Curve, mean_curve, read_anchors, read_curve, write_curve
from rnncodec.evaluation.measure import Point
from rnncodec.evaluation.summary import point_table, summarize, summary_table


def make_point(setting: float, bpp: float, ms_ssim: float) -> Point:
    return Point(setting, 100, bpp, 30.0, ms_ssim, 28.0, 60.0, 0.5, 0.25)


CURVE = mean_curve(
    "ours",
    "two images",
    [
        [make_point(1, 0.25, 0.7), make_point(2, 1.0, 0.85), make_point(3, 2.0, 0.95)],
        [make_point(1, 0.25, 0.9), make_point(2, 0.5, 0.95), make_point(3, 2.5, 1.0)],
    ],
)


def test_curve_is_the_mean_over_images_at_each_setting() -> None:
    assert CURVE.results["bpp"] == [0.25, 0.75, 2.25]
    assert CURVE.results["ms-ssim-rgb"] == pytest.approx([0.8, 0.9, 0.975])
    assert CURVE.results["setting"] == [1, 2, 3]
    assert CURVE.points("ms-ssim-rgb")[1] == (0.75, pytest.approx(0.9))
    assert CURVE.points("vmaf") == []


def test_curve_round_trips_in_compressais_schema(tmp_path: Path) -> None:
    write_curve(CURVE, tmp_path / "ours.json")
    content = json.loads((tmp_path / "ours.json").read_text())
    assert set(content) == {"name", "description", "results"}
    assert {"bpp", "psnr-rgb", "ms-ssim-rgb", "encoding_time", "decoding_time"} <= set(content["results"])
    assert read_curve(tmp_path / "ours.json") == CURVE
    assert [curve.name for curve in read_anchors(tmp_path)] == ["ours"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"name": "x"}',
        '{"name": "x", "results": {}}',
        '{"name": "x", "results": {"bpp": [1], "psnr-rgb": []}}',
    ],
)
def test_files_that_are_no_curves_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=r"x\.json"):
        read_anchors(tmp_path)


def test_summary_and_its_table() -> None:
    scores = {"ssimulacra2": [-20.0, 30.0, 50.0]}
    baseline = Curve("jpeg", "", {"bpp": [0.5, 1.5, 4.5], "ms-ssim-rgb": [0.8, 0.9, 0.975]} | scores)
    ours = Curve(CURVE.name, "", CURVE.results | scores)
    summary = summarize(ours, baseline)
    assert summary.rates == (pytest.approx(0.75), pytest.approx(1.75), None)
    assert summary.area_ms_ssim == pytest.approx(0.1 + 0.425 + (0.9 + 0.9625) / 2 * 1.25)
    assert summary.bd_ms_ssim is not None
    assert summary.bd_ms_ssim.percent == pytest.approx(-50.0)
    assert summary.bd_psnr is None
    assert summary.score_rates == (pytest.approx((ours.results["bpp"][1] + ours.results["bpp"][2]) / 2), None)
    assert summary.bd_ssimulacra2 is not None
    assert summary.bd_ssimulacra2.percent == pytest.approx(-50.0)
    table = summary_table([summary, summarize(baseline, baseline)], "jpeg")
    assert "| ours | 1.500 | – | 0.750 | 1.750 | – | 1.6891 |" in table
    assert "-50.0 % (0.800–0.975)" in table
    assert "BD-rate, MS-SSIM against jpeg" in table
    assert "| 2 | 0.7500 | 0.9000 |" in point_table(CURVE)


def test_area_of_a_curve_that_ends_early_is_marked() -> None:
    table = summary_table([summarize(Curve("short", "", {"bpp": [1.0], "ms-ssim-rgb": [1.0]}), None)], None)
    assert "| 1.5000* |" in table
    assert "* The curve ends before 2 bpp" in table
