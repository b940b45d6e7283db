"""The sources of a report: runs, evaluations and curves, read from their files."""

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from rnncodec.errors import DataError
from rnncodec.evaluation.curves import Curve, read_curve
from rnncodec.evaluation.results import ABOUT, Evaluation, read_evaluation
from rnncodec.terminal import log
from rnncodec.training.history import read_history
from rnncodec.training.run.folder import CONFIG, FAILURE, LOCK, OUTPUT
from rnncodec.training.run.newest_weights import has_other_weights, unfinished
from rnncodec.training.run.older_options import UNNAMED
from rnncodec.training.run.options import LACKING, differences, says_method, single_options

Series = dict[str, dict[int, float]]  # the values of each metric by step


@dataclass(frozen=True)
class Source:
    """A run, an evaluation, or a published curve. ``options`` are the options that made it, flat; ``training`` holds
    the logged values of a run. An evaluation is ``older`` if its run has other weights now."""

    name: str
    evaluation: Evaluation | None = None
    curve: Curve | None = None
    options: dict[str, str] = field(default_factory=dict)
    training: Series = field(default_factory=dict)
    older: bool = False


def read_sources(paths: Sequence[Path]) -> list[Source]:
    """The sources in ``paths``, with unique names.

    Raises:
        DataError: a path is not a source, or there is nothing to show.
    """
    sources = [source for path in paths for source in read_source(path)]
    if not any(source.evaluation or source.curve or source.training for source in sources):
        raise DataError("there is nothing to show: no evaluation and no training log; run evaluate.py first")
    names = numbered([source.name + what_differs(source, sources) for source in sources])
    return [replace(source, name=name) for source, name in zip(sources, names, strict=True)]


def what_differs(source: Source, sources: Sequence[Source]) -> str:
    """In brackets, how ``source`` was measured otherwise than the ``sources`` of the same name. Often empty."""
    same_name = [measured(each) for each in sources if each.name == source.name]
    own = [text for text, *others in zip(measured(source), *same_name, strict=True) if {text} != {*others}]
    return f" ({', '.join(text for text in own if text)})" if any(own) else ""


def measured(source: Source) -> tuple[str, ...]:
    """What can differ between evaluations of one network."""
    if not source.evaluation:
        return "", "", ""
    about = source.evaluation.about
    return about.dataset, f"{about.iterations} layers", f"effort {about.effort}"


def numbered(names: Sequence[str]) -> list[str]:
    """The names; those that are equal with numbers behind them."""
    return [
        f"{name} ({names[: index + 1].count(name)})" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]


def read_source(path: Path) -> Iterator[Source]:
    """The sources in ``path``: the folder of an evaluation, the folder of a run with its evaluations, the folder of a
    sweep with its runs, or the file of a curve. A folder that holds nothing but the reason why a run was refused is
    left out, with a line on the terminal."""
    if path.is_file():
        curve = read_curve(path)
        yield Source(path.stem, curve=curve)
    elif (path / ABOUT).is_file():
        run = path.parents[1] if path.parent.name == "evaluations" and (path.parents[1] / CONFIG).is_file() else None
        yield from_folders(run, path)
    elif (path / CONFIG).is_file():
        if state := unfinished(path):
            log.print(f"{path} is not finished: its newest weights are those {state}", soft_wrap=True, markup=False)
        found = []
        for result in sorted(about.parent for about in path.glob(f"evaluations/*/{ABOUT}")):
            try:
                found.append(from_folders(path, result))
            except DataError as error:  # it is being measured, or was broken off
                log.print(f"left out: {error}", soft_wrap=True, markup=False)
        yield from found or [from_folders(path, None)]
    elif runs := sorted((found.parent for found in path.rglob(CONFIG)), key=natural):
        for run in runs:
            yield from read_source(run)
    elif path.is_dir() and {each.name for each in path.iterdir()} <= {FAILURE, LOCK, OUTPUT}:
        log.print(f"{path} is left out: no run has begun in it", soft_wrap=True, markup=False)
    else:
        raise DataError(f"{path}: neither a run, nor a sweep, nor the folder of an evaluation, nor a curve's JSON file")


def natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts job 10 of a sweep behind job 2."""
    return [(int(number or 0), rest) for number, rest in re.findall(r"(\d*)(\D*)", str(path))]


def from_folders(run: Path | None, result: Path | None) -> Source:
    """The Source of a run, of an evaluation (``result``), or of both."""
    evaluation = read_evaluation(result) if result else None
    options: dict[str, str] = {}
    if evaluation:
        about = evaluation.about
        training = {name: value for name, value in about.training.items() if name not in ("options", "seconds")}
        network = {name: value for name, value in about.network.items() if name != "reconstruction"}
        part = about.network.get("reconstruction")
        named = {"reconstruction": part if isinstance(part, dict) else {"name": part}}
        options = texts({"model": network, "training": training, **named, **about.training.get("options", {})})
    if run:
        options |= texts(read_options(run / CONFIG))
    if run or (evaluation and evaluation.about.training.get("options")):
        options = texts(UNNAMED) | options
    options = {name: text for name, text in options.items() if says_method(name)}
    name = evaluation.about.name if evaluation else run.resolve().name if run else ""
    older = bool(evaluation and run and has_other_weights(run, evaluation.about.identity))
    if older:
        name = f"{name} (older weights)"
        log.print(
            f"{result} is of older weights of the run; evaluate.py model={run} measures the newest",
            soft_wrap=True,
            markup=False,
        )
    training = finite_history(run) if run else {}
    return Source(name, evaluation, evaluation.curves[0] if evaluation else None, options, training, older)


class PlainLoader(yaml.SafeLoader):
    """Reads YAML without aliases, by which a small file can stand for values without end."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases")
        return super().compose_node(parent, index)


def read_options(path: Path) -> dict[str, Any]:
    """The options of a run. Nothing that they name is imported. Raises DataError if the file cannot be read."""
    try:
        options = yaml.load(path.read_text(), PlainLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if not isinstance(options, dict):
        raise DataError(f"{path}: it holds no options")
    return options


def finite_history(run: Path) -> Series:
    """The logged values of a run, without those that are not finite. Raises DataError if they cannot be read."""
    try:
        history = read_history(run)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{run}: its history cannot be read ({error!r})") from None
    return {
        name: {step: value for step, value in values.items() if math.isfinite(value)}
        for name, values in history.items()
    }


def texts(options: Mapping[str, Any]) -> dict[str, str]:
    """Nested options as texts, by their full names. Those that refer to another option are left out."""
    return {name: str(value) for name, value in single_options(options).items() if "${" not in str(value)}


def known_differences(options: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """The `differences` of the ``options`` of sources. An option that a source lacks does not count as a difference:
    weights do not record the photos of their run, for example."""
    return {name: row for name, row in differences(options).items() if len({*row} - {LACKING}) > 1}
