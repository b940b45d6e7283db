"""Result files that somebody else has written: they are read, or refused in a sentence."""

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rnncodec.errors import DataError, RnncodecError
from rnncodec.evaluation.curves import read_curve
from rnncodec.evaluation.report.page import render
from rnncodec.evaluation.results import ABOUT, MEASUREMENTS, read_evaluation
from rnncodec.evaluation.sources import read_sources


@pytest.fixture
def copied(result: Path, tmp_path: Path) -> Path:
    shutil.copytree(result, tmp_path / "result")
    return tmp_path / "result"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../x"},
        {"name": 7},
        {"baselines": ["/etc/passwd"]},
        {"baselines": "jpeg"},
        {"anchors": ["../secret"]},
        {"anchors": None},
        {"network": []},
        {"network": {"width": 1}},
        {"training": []},
        {"training": {"options": 7}},
        {"iterations": 10**9},
        {"iterations": "many"},
        {"images": 7},
        {"images": [7]},
        {"broken": []},
        {"compare_to": ["jpeg"]},
        {"effort": -1},
        {"unknown": 1},
    ],
)
def test_odd_descriptions_are_refused(copied: Path, changes: dict[str, Any]) -> None:
    about = json.loads((copied / ABOUT).read_text())
    (copied / ABOUT).write_text(json.dumps(about | changes))
    with pytest.raises(RnncodecError):
        read_evaluation(copied)


@pytest.mark.parametrize("content", ["[]", "7", "{}", "[" * 100_000, '{"a":' * 50 + "1" + "}" * 50, "\udcff", ""])
def test_descriptions_that_are_none_are_refused(copied: Path, content: str) -> None:
    (copied / ABOUT).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=ABOUT):
        read_evaluation(copied)


@pytest.mark.parametrize("value", ["nan", "inf", "1e300", "-1", "0", "", "x"])
def test_odd_measurements_are_refused(copied: Path, value: str) -> None:
    lines = (copied / MEASUREMENTS).read_text().splitlines()
    cells = lines[1].split(",")
    cells[lines[0].split(",").index("bpp")] = value
    (copied / MEASUREMENTS).write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")
    with pytest.raises(DataError, match=MEASUREMENTS):
        read_evaluation(copied)


@pytest.mark.parametrize("line", [1, 2])
@pytest.mark.parametrize("column", ["ms_ssim", "ssimulacra2"])
def test_a_value_that_an_image_has_at_some_settings_only_is_refused(copied: Path, column: str, line: int) -> None:
    lines = (copied / MEASUREMENTS).read_text().splitlines()
    cells = lines[line].split(",")
    cells[lines[0].split(",").index(column)] = ""
    lines[line] = ",".join(cells)
    (copied / MEASUREMENTS).write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=f"a value of {column} at some settings only"):
        read_evaluation(copied)


def test_lines_that_are_cut_off_or_missing_are_refused(copied: Path) -> None:
    content = (copied / MEASUREMENTS).read_text()
    lines = content.splitlines(keepends=True)
    for text in ("".join(lines[:2] + lines[3:]), lines[0], content[: len(content) // 2], "\0" + content, "a,b\n1,2\n"):
        (copied / MEASUREMENTS).write_text(text)
        with pytest.raises(DataError):
            read_evaluation(copied)


@pytest.mark.parametrize(
    "results",
    [
        {"bpp": []},
        {"bpp": [0.0, 1.0]},
        {"bpp": [float("nan")]},
        {"bpp": [float("inf")]},
        {"bpp": [1e300, 1e301]},
        {"bpp": 7},
        {"bpp": [[1]]},
        {"bpp": [10**400]},
        {"bpp": [1.0], "ms-ssim-rgb": [0.9, 0.9]},
        [],
    ],
)
def test_odd_curves_are_refused(tmp_path: Path, results: Any) -> None:
    (tmp_path / "curve.json").write_text(json.dumps({"name": "x", "results": results}))
    with pytest.raises(DataError, match=r"curve\.json"):
        read_curve(tmp_path / "curve.json")


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in pairwise("abcdefghi"))


@pytest.mark.parametrize("content", [BOMB, "7", "[a", "a: !!python/object/apply:os.getcwd []", "[" * 5000, "\0"])
def test_odd_options_of_a_run_are_refused(run_folder: Path, tmp_path: Path, content: str) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    (run / "config.yaml").write_text(content)
    with pytest.raises(DataError, match=r"config\.yaml"):
        read_sources([run])


def test_a_history_with_numbers_that_are_not_finite_is_drawn_without_them(run_folder: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    (run / "history.csv").write_text("step,train/loss\n0,0.5\n1,nan\n2,inf\n")
    (source,) = read_sources([run])
    assert source.training == {"train/loss": {0: 0.5}}
    render([source], 0)
    (run / "history.csv").write_text("step,train/loss\n0,much\n")
    with pytest.raises(DataError, match="history"):
        read_sources([run])
