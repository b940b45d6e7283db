"""The settings that reports and tables compare: runs that differ only in their seed are one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rnncodec.evaluation.curves import Curve
from rnncodec.evaluation.sources import Series, Source, known_differences
from rnncodec.terminal import counted
from rnncodec.training.run.options import SEEDS

MOST_OPTIONS = 3  # that a legend names


@dataclass(frozen=True)
class Setting:
    """The runs, evaluations or curves of one setting; ``options`` says what is different in the others, in words."""

    sources: list[Source]
    options: str

    @property
    def name(self) -> str:
        """That of its only source; of several seeds, the options, or the first source and how many there are more."""
        first, more = self.sources[0].name, len(self.sources) - 1
        if not more:
            return first
        if not self.options:
            return f"mean of {first} and {counted(more, 'more seed')}"
        return f"{self.options}, mean of {more + 1} seeds"

    @property
    def curve(self) -> Curve | None:
        """The mean of the curves at each layer."""
        return mean_of_curves(self.name, [source.curve for source in self.sources if source.curve])

    @property
    def training(self) -> Series:
        """The mean of the logged values, at the steps that all seeds have."""
        logged = [source.training for source in self.sources if source.training]
        names = [name for name in (logged[0] if logged else ()) if all(name in each for each in logged)]
        return {
            name: {
                step: fmean(each[name][step] for each in logged)
                for step in logged[0][name]
                if all(step in each[name] for each in logged)
            }
            for name in names
        }


def mean_of_curves(name: str, curves: Sequence[Curve]) -> Curve | None:
    """The mean of ``curves`` at each layer, of the results that all of them have. None if there are no curves."""
    if not curves:
        return None
    keys = [key for key in curves[0].results if all(key in curve.results for curve in curves)]
    results = {key: mean_rows([curve.results[key] for curve in curves]) for key in keys}
    return Curve(name, curves[0].description, results)


def mean_rows(rows: Sequence[Sequence[float]]) -> list[float]:
    """The mean over ``rows``, as long as the shortest of them."""
    return [fmean(values) for values in zip(*rows, strict=False)]


def settings(sources: Sequence[Source]) -> list[Setting]:
    """The sources in groups: those of one group have the same options and photos, and different seeds."""
    groups: list[list[Source]] = []
    for source in sources:
        group = next((group for group in groups if belongs(source, group)), None)
        if group is None:
            groups.append([source])
        else:
            group.append(source)
    differing = known_differences([method(group[0].options) for group in groups])
    worth = differing if len(differing) <= MOST_OPTIONS else {}
    return [Setting(group, in_words({name: row[at] for name, row in worth.items()})) for at, group in enumerate(groups)]


def belongs(source: Source, group: Sequence[Source]) -> bool:
    """Whether ``source`` differs from the sources of ``group`` by its seed, and by nothing else. Runs that have trained
    other numbers of steps differ by more."""
    first = group[0]
    if source.older or first.older:
        return False
    others = [seeds(each.options) for each in group]
    return (
        all(each[0] for each in (seeds(source.options), *others))
        and seeds(source.options) not in others
        and method(source.options) == method(first.options)
        and source.options.get("training.steps") == first.options.get("training.steps")
        and photos(source) == photos(first)
        and how_coded(source) == how_coded(first)
    )


def method(options: Mapping[str, str]) -> dict[str, str]:
    """The options without the seed, and without what training has come to, which is never the same."""
    return {name: value for name, value in options.items() if name not in SEEDS and not name.startswith("training.")}


def seeds(options: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the options in which repeated runs of one method differ; "" for one that a run lacks."""
    return tuple(options.get(name, "") for name in SEEDS)


def setting_key(options: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """What runs share that differ only in the seed: their `method`."""
    return frozenset(method(options).items())


def how_coded(source: Source) -> tuple[int, int] | None:
    """The layers and the effort of the files that were measured."""
    return (source.evaluation.about.iterations, source.evaluation.about.effort) if source.evaluation else None


def photos(source: Source) -> frozenset[str]:
    """The hashes of the photos that a source was measured on."""
    return frozenset(source.evaluation.about.images.values() if source.evaluation else ())


def in_words(options: Mapping[str, str]) -> str:
    """Options as in ``encoder_cell=gru, reconstruction=additive``, with the last part of each name."""
    return ", ".join(f"{name.rpartition('.')[2]}={value}" for name, value in options.items())
