"""The page: for each group of runs its commands, its tables and its figure, between marks in a document."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path

from rnncodec.errors import DataError
from rnncodec.evaluation.ablation.figure import draw
from rnncodec.evaluation.ablation.runs import (
    Run,
    StepSeconds,
    Sweep,
    Unfinished,
    check_seeds,
    read_sweeps,
    with_step_seconds,
)
from rnncodec.evaluation.ablation.tables import COSTS, Comparison, Setting, equal_seconds, settings
from rnncodec.evaluation.curves import Curve

FIGURES = "figures"  # the folder beside the document
VALIDATION = "validation"  # the name of the photos of `EvaluateAtEnd`


@dataclass
class Group:
    """The runs of one group: the ``commands`` that started them, those that are ``finished`` and those that are not,
    and how many have ``not_begun``."""

    name: str
    commands: list[str] = field(default_factory=list)
    finished: list[Run] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    not_begun: int = 0

    @property
    def figure(self) -> str:
        """The name of the file of its figure."""
        return f"ablation-{re.sub(r'[^0-9A-Za-z._-]', '-', self.name)}.svg"


@dataclass(frozen=True)
class Page:
    """The text of each group, and what draws its figure into a file, by the name of the file."""

    texts: dict[str, str]
    figures: dict[str, Callable[[Path], None]]


def ablations(
    sweeps: Sequence[Path],
    against: str | None = None,
    bases: Sequence[str] = (),
    step_seconds: StepSeconds | None = None,
) -> Page:
    """The page of the runs in ``sweeps``, the folders of multiruns.

    Args:
        against: the name of the run that BD-rates are computed against, with its other seeds. None for the first
            finished setting of each group.
        bases: the names of runs that the options of other groups were changed from; see `base_of`.
        step_seconds: see `with_step_seconds`.

    Raises:
        DataError: a folder is not that of a multirun, or none holds a run; two runs of a group have the same options
            and the same seed; several settings have one of the names, or no run has it; ``step_seconds`` lack a
            setting.
    """
    read = read_sweeps(sweeps)
    groups = grouped(with_step_seconds(read, step_seconds) if step_seconds else read)
    anchor = find(groups, against) if against else None
    starts = [start for base in bases if (start := find(groups, base))]
    page = Page({}, {})
    for group in groups:
        if not group.finished:
            page.texts[group.name] = commands_in_words(group) + progress_in_words(group)
            continue
        compared = settings(group.finished)
        if start := base_of(group, starts):
            compared = [start, *(setting for setting in compared if setting.first.setting != start.first.setting)]
        comparison = Comparison(compared, anchor if against else compared[0])
        page.texts[group.name] = describe(group, comparison, against)
        photos = photo_sets(comparison)
        if photos:
            of_photos = partial(real, photos=photos[0])
            title = f"{group.name}: mean of {photos[0]}, real files"
            lines = baselines(comparison, photos[0])
            page.figures[group.figure] = partial(draw, comparison, of_photos, lines, title)
    return page


def grouped(sweeps: Sequence[Sweep]) -> list[Group]:
    """The groups of the runs in ``sweeps``. Raises DataError if two runs of a group differ in nothing."""
    groups: dict[str, Group] = {}
    for sweep in sweeps:
        runs: list[Run | Unfinished] = [*sweep.finished, *sweep.unfinished]
        names = dict.fromkeys(run.group for run in runs)
        for name in names:
            group = groups.setdefault(name, Group(name))
            if sweep.command not in group.commands:
                group.commands.append(sweep.command)
            group.finished.extend(run for run in sweep.finished if run.group == name)
            group.unfinished.extend(run for run in sweep.unfinished if run.group == name)
        groups[next(iter(names))].not_begun += sweep.not_begun
    for group in groups.values():
        check_seeds(group.finished)
    return list(groups.values())


def find(groups: Sequence[Group], name: str) -> Setting | None:
    """The setting of the finished run of this name. None if it is not finished. Raises DataError if there is no such
    run, or if runs of several settings have this name."""
    runs = [run for group in groups for run in group.finished]
    found = {run.setting for run in runs if run.name == name}
    if len(found) > 1:
        raise DataError(f"{len(found)} different runs are named {name}: give each a name of its own, by name=")
    if found:
        first = next(run for run in runs if run.name == name)
        return Setting([run for run in runs if run.setting in found and run.group == first.group])
    unfinished = [run.name for group in groups for run in group.unfinished]
    if name not in unfinished and not any(group.not_begun for group in groups):
        names = ", ".join(dict.fromkeys([*(run.name for run in runs), *unfinished]))
        raise DataError(f"no run is named {name}; there are {names}")
    return None


def base_of(group: Group, bases: Sequence[Setting]) -> Setting | None:
    """The base that the table of ``group`` shows: of the ``bases`` before the first one that is a run of this group,
    the one whose options differ least. The later ones were changed from runs of this group. None if there is none."""
    before = takewhile(lambda base: base.first.group != group.name, bases)
    return min(before, key=lambda base: len(base.first.setting ^ group.finished[0].setting), default=None)


def real(run: Run, photos: str) -> Curve | None:
    """The curve of real files of ``photos``."""
    evaluation = run.evaluations.get(photos)
    return evaluation.curves[0] if evaluation else None


def photo_sets(comparison: Comparison) -> list[str]:
    """The sets of photos that finished runs were measured on, validation photos last."""
    found = dict.fromkeys(name for setting in comparison.settings for run in setting.runs for name in run.evaluations)
    return sorted(found, key=lambda name: f"({VALIDATION}-" in name)


def baselines(comparison: Comparison, photos: str) -> list[Curve]:
    """The curves of the classical codecs that were measured on ``photos`` beside a run."""
    found: dict[str, Curve] = {}
    for setting in comparison.settings:
        for run in setting.runs:
            if photos in run.evaluations:
                evaluation = run.evaluations[photos]
                names = evaluation.about.baselines
                found |= {curve.name: curve for curve in evaluation.curves if curve.name in names}
    return list(found.values())


def describe(group: Group, comparison: Comparison, against: str | None) -> str:
    """The commands and the tables of a group with finished runs."""
    parts = [commands_in_words(group) + progress_in_words(group), comparison.operations_in_words() + "\n"]
    reference = against_in_words(comparison, against)
    steps = steps_in_words(comparison)
    for photos in photo_sets(comparison):
        of_photos = partial(real, photos=photos)
        parts.append(f"Real files of {photos}, {steps}.{reference}\n\n{comparison.table(of_photos, COSTS)}")
    parts.append(at_equal_seconds(comparison, reference))
    if photo_sets(comparison):
        alternative = f"MS-SSIM and PSNR against bits per pixel, and MS-SSIM against operations, of {group.name}"
        parts.append(f"![{alternative}]({FIGURES}/{group.figure})\n")
    return "\n".join(part for part in parts if part)


def commands_in_words(group: Group) -> str:
    """The commands that started the runs, as a block of code."""
    return "".join(f"    {command}\n" for command in group.commands)


def progress_in_words(group: Group) -> str:
    """Which runs are not finished; "" if all are."""
    if not group.unfinished and not group.not_begun:
        return ""
    count = len(group.finished) + len(group.unfinished) + group.not_begun
    left = [f"{run.name} (step {run.steps:,} of {run.most:,})" for run in group.unfinished]
    if group.not_begun:
        left.append(f"{group.not_begun} that have not begun")
    return f"\n**Partial: {len(group.finished)} of {count} runs are finished.** Left out: {', '.join(left)}.\n"


def against_in_words(comparison: Comparison, name: str | None) -> str:
    """What BD-rates are computed against, as a sentence."""
    if comparison.against is None:
        return f" There are no BD-rates yet: {name}, which they are computed against, is not finished."
    seeds = len(comparison.against.runs)
    return f" BD-rates are against {comparison.against.first.name}{f' ({seeds} seeds)' if seeds > 1 else ''}."


def steps_in_words(comparison: Comparison) -> str:
    """After how many steps the runs have ended."""
    steps = sorted({run.steps for setting in comparison.settings for run in setting.runs})
    return f"after {' or '.join(f'{count:,}' for count in steps)} steps"


def at_equal_seconds(comparison: Comparison, reference: str) -> str:
    """The table of the runs at the CPU seconds that the shortest of them took; "" if none measured its seconds."""
    anchor = [comparison.against] if comparison.against else []
    moment = equal_seconds([*comparison.settings, *anchor])
    if math.isnan(moment):
        return ""
    table = comparison.table(lambda run: run.at(moment), {"steps": (0, lambda run: run.steps_at(moment))})
    return f"In training, after {moment:,.0f} CPU seconds: validation photos, without files.{reference}\n\n{table}"


def insert(texts: Mapping[str, str], document: str) -> str:
    """``document`` with the text of each group between the marks of the group, in place of the text that was there. The
    text of a group without marks is added at the end.

    Raises:
        DataError: the first mark of a group is there, but the last is not.
    """
    for group, text in texts.items():
        begin, end = f"<!-- rnncodec ablation: {group} -->", "<!-- end -->"
        before, found, rest = document.partition(begin)
        _, closed, after = rest.partition(end)
        if found and not closed:
            raise DataError(f"the document has '{begin}' but no '{end}' behind it")
        if not found:
            before, after = f"{document}\n## {group}\n\n", "\n"
        document = f"{before}{begin}\n\n{text}\n{end}{after}"
    return document
