"""The options of a run one by one, as runs are compared by them."""

from collections.abc import Mapping, Sequence
from typing import Any

UNSAID = (
    "name", "group", "tags", "job_type", "choices", "run_id", "outputs", "folder", "resume", "resources", "trial",
    "logger",
)  # fmt: skip  # options, and groups of them, that say nothing about the method
SEEDS = ("seed", "data.seed")  # options in which repeated runs of one method differ
PLACES = ("folder", "dirpath", "save_dir", "id")  # the last names of options that say where something is kept

LACKING = "–"  # in place of the value of an option that a run does not have


def single_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Nested options by their full names, ``{"optimizer.lr": 0.01}``, but for those that name a place."""
    values: dict[str, Any] = {}

    def collect(value: Any, *names: str) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                collect(inner, *names, str(name))
        elif names[-1] not in PLACES:
            values[".".join(names)] = value

    for name, value in options.items():
        collect(value, str(name))
    return values


def says_method(name: str) -> bool:
    """Whether the option of this full name says something about the method that a run uses."""
    return name.split(".")[0] not in UNSAID


def short_name(name: str) -> str:
    """The full name of an option without its end, where that only says that the value chooses a part."""
    return name.removesuffix("._target_").removesuffix(".name")


def short_value(value: str) -> str:
    """The value of an option; of a class of rnncodec only its name."""
    return value.rpartition(".")[2] if value.startswith("rnncodec.") else value


def differences(options: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The options that are not the same in all of ``options``, which have full names: by their short names, with their
    short values in the order of ``options``. An option that has all its values from one of the top level, as
    ``data.seed`` from ``seed``, is left out."""
    texts = [{short_name(name): short_value(str(value)) for name, value in each.items()} for each in options]
    names = dict.fromkeys(name for each in texts for name in each)
    rows = {name: [each.get(name, LACKING) for each in texts] for name in names}
    return {
        name: row
        for name, row in rows.items()
        if len({*row}) > 1 and ("." not in name or rows.get(name.rpartition(".")[2]) != row)
    }
