"""The options of a run one by one, as runs are compared by them."""

from collections.abc import Mapping
from typing import Any

UNSAID = (
    "name", "group", "tags", "job_type", "choices", "run_id", "outputs", "folder", "resume", "resources", "trial",
    "logger",
)  # fmt: skip  # options, and groups of them, that say nothing about the method
SEEDS = ("seed", "data.seed")  # options in which repeated runs of one method differ
PLACES = ("folder", "dirpath", "save_dir", "id")  # the last names of options that say where something is kept


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
