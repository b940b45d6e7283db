"""The table at the end of a sweep, from folders such as its jobs leave."""

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from rnncodec.training.launch.sweep_results import results_table
from rnncodec.training.run.options import differences, single_options
from rnncodec.training.run.outcome import write_result


def job(folder: Path, loss: float, rate: float, **options: Any) -> tuple[Path, dict[str, Any]]:
    folder.mkdir()
    write_result(folder, 100, {"val/loss": loss, "eval/validation/bpp_at_0.90": rate}, pruned=False)
    own = {"name": folder.name, "folder": str(folder)}
    return folder, {"loss._target_": "rnncodec.distortion.losses.L1", **own, **options}


def shown(options: dict[Path, dict[str, Any]]) -> list[list[str]]:
    """The cells of the table, row by row."""
    table = results_table(options)
    assert table is not None
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [[cell.strip() for cell in line[1:-1].replace("┃", "│").split("│")] for line in lines if line[0] in "│┃"]


def test_settings_are_compared_with_seeds_together(tmp_path: Path) -> None:
    jobs = dict(
        [
            job(tmp_path / "0", 0.5, 0.2, cell="gru", seed=0),
            job(tmp_path / "1", 0.7, 0.3, cell="gru", seed=1),
            job(tmp_path / "2", 0.4, 0.1, cell="lstm", seed=0),
        ]
    )
    assert shown(jobs) == [
        ["cell", "seeds", "bpp at 0.90", "val/loss"],
        ["gru", "2", "0.250 ± 0.050", "0.60000 ± 0.10000"],
        ["lstm", "1", "0.100", "0.40000"],
    ]


def test_losses_of_different_kinds_are_in_no_column(tmp_path: Path) -> None:
    jobs = dict([job(tmp_path / "0", 0.5, 0.2), job(tmp_path / "1", 7.0, 0.3)])
    jobs[tmp_path / "1"]["loss._target_"] = "rnncodec.distortion.losses.Decibels"
    assert shown(jobs) == [["loss", "seeds", "bpp at 0.90"], ["L1", "1", "0.200"], ["Decibels", "1", "0.300"]]
    jobs = dict([job(tmp_path / "2", 0.5, 0.2, iterations=4), job(tmp_path / "3", 7.0, 0.3, iterations=8)])
    assert shown(jobs) == [["iterations", "seeds", "bpp at 0.90"], ["4", "1", "0.200"], ["8", "1", "0.300"]]


def test_pruned_jobs_are_no_results(tmp_path: Path) -> None:
    jobs = dict([job(tmp_path / str(at), 0.5, 0.2, cell=cell) for at, cell in enumerate(("gru", "lstm", "leaky"))])
    write_result(tmp_path / "1", 50, {"val/loss": 0.9}, pruned=True)
    assert [row[0] for row in shown(jobs)] == ["cell", "gru", "leaky"]


def test_an_option_is_one_whether_its_value_is_a_name_or_a_class_and_where_it_is_repeated() -> None:
    ours = single_options({"model": {"cell": "gru", "width": 1}, "seed": 0, "data": {"seed": 0}, "iterations": 8})
    theirs = single_options(
        {"model": {"cell": {"_target_": "mine.Leaky", "leak": 0.5}, "width": 1}, "seed": 1, "data": {"seed": 1}}
    )
    assert differences([ours, theirs, ours | {"loss._target_": "rnncodec.distortion.losses.L1"}]) == {
        "model.cell": ["gru", "mine.Leaky", "gru"],
        "seed": ["0", "1", "0"],
        "iterations": ["8", "–", "8"],
        "model.cell.leak": ["–", "0.5", "–"],
        "loss": ["–", "–", "L1"],
    }


def test_one_finished_job_is_not_compared(tmp_path: Path) -> None:
    folder, options = job(tmp_path / "0", 0.5, 0.2)
    assert results_table({folder: options, tmp_path / "unfinished": options}) is None
