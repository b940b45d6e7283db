"""The history of a run: every logged value, in one CSV file in the run's folder."""

import csv
from collections.abc import Iterator
from pathlib import Path

from rnncodec.training.run.folder import HISTORY

Row = dict[str, str]  # the columns of one line: "step", and logged values by their names


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
