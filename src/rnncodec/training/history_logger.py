"""Writes the history of a run, with W&B beside it or without.

Lightning's CSVLogger cannot append to a file, so that each start of a resumed run would have a file of its own.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from rnncodec.atomic_file import naming, replacing
from rnncodec.training.history import Row, read_rows
from rnncodec.training.run.folder import HISTORY


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
