"""The history of a run: every logged value, in one CSV file in the run's folder, with W&B beside it or without.

Lightning's CSVLogger cannot append to a file, so that each start of a resumed run would have a file of its own.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from rnncodec.atomic_file import naming, replacing
from rnncodec.training.run.folder import HISTORY

Row = dict[str, str]  # the columns of one line: "step", and logged values by their names


class HistoryLogger(Logger):
    """Appends to ``folder/history.csv`` one line each time something is logged. A resumed run goes on in the same file:
    lines of later steps than its first one are removed, because these steps are trained again."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / HISTORY
        self.columns: list[str] | None = None  # unknown before something is logged

    @property
    def name(self) -> str:
        return "history"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Does nothing: the options are in the run's config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = {"step": str(step or 0), **{name: repr(float(value)) for name, value in metrics.items()}}
        if self.columns is None:
            before = [old for old in read_rows(self.path) if int(old["step"]) <= int(row["step"])]
            self.columns = list(dict.fromkeys(name for each in [*before, row] for name in each))
            self._write(before)
        elif not row.keys() <= set(self.columns):
            before = list(read_rows(self.path))
            self.columns = list(dict.fromkeys([*self.columns, *row]))
            self._write(before)
        with naming(self.path), self.path.open("a", newline="") as file:
            self._writer(file).writerow(row)

    def _write(self, rows: list[Row]) -> None:
        """Write the file anew, with the columns that are known now."""
        with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = self._writer(file)
            writer.writeheader()
            writer.writerows(rows)

    def _writer(self, file: Any) -> "csv.DictWriter[str]":
        assert self.columns is not None
        return csv.DictWriter(file, self.columns, lineterminator="\n")


def read_rows(path: Path) -> Iterator[Row]:
    """The lines of a history, without empty values; none if there is no file. A last line that was not written to its
    end, because the process was killed, is left out."""
    if not path.is_file():
        return
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    for row in csv.DictReader(whole.splitlines()):
        yield {name: value for name, value in row.items() if value}


def read_history(run: Path) -> dict[str, dict[int, float]]:
    """The logged values of the run in the folder ``run``: by name, then by step, in the order of the steps. Of a value
    that was logged twice at a step, as when a run was resumed there, the last counts. Empty if nothing was logged."""
    history: dict[str, dict[int, float]] = {}
    before = sorted(run.glob("csv-*/metrics.csv"), key=lambda path: int(path.parent.name[4:]))  # of rnncodec 0.1
    for row in (row for path in [*before, run / HISTORY] for row in read_rows(path)):
        step = int(row.pop("step"))
        for name, value in row.items():
            history.setdefault(name, {})[step] = float(value)
    return {name: dict(sorted(values.items())) for name, values in history.items()}
