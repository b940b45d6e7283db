"""The history of a run, in one file however often the run was resumed."""

from pathlib import Path

from rnncodec.training.history import read_history
from rnncodec.training.history_logger import HistoryLogger


def test_values_are_there_by_name_and_step_and_columns_may_come_later(tmp_path: Path) -> None:
    history = HistoryLogger(str(tmp_path))
    history.log_metrics({"train/loss": 0.5}, 0)
    history.log_metrics({"train/loss": 0.25}, 1)
    history.log_metrics({"val/loss": 1 / 3, "epoch": 0}, 1)
    assert read_history(tmp_path) == {"train/loss": {0: 0.5, 1: 0.25}, "val/loss": {1: 1 / 3}, "epoch": {1: 0.0}}
    assert (tmp_path / "history.csv").read_text().splitlines()[0] == "step,train/loss,val/loss,epoch"


def test_resumed_run_goes_on_in_the_same_file_without_the_steps_that_are_trained_again(tmp_path: Path) -> None:
    first = HistoryLogger(str(tmp_path))
    for step in range(5):
        first.log_metrics({"train/loss": 0.5 + step}, step)
    with (tmp_path / "history.csv").open("a") as file:
        file.write("5,0.")  # the process was killed here
    again = HistoryLogger(str(tmp_path))
    again.log_metrics({"train/loss": 0.25}, 3)
    again.log_metrics({"train/seconds": 7.0}, 3)
    assert read_history(tmp_path) == {"train/loss": {0: 0.5, 1: 1.5, 2: 2.5, 3: 0.25}, "train/seconds": {3: 7.0}}
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


def test_folder_without_a_history_has_an_empty_one(tmp_path: Path) -> None:
    assert read_history(tmp_path) == {}
    (tmp_path / "history.csv").write_text("")
    assert read_history(tmp_path) == {}
