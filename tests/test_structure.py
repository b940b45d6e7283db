"""Which way imports go between the modules of the package."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import rnncodec

PACKAGE = Path(rnncodec.__file__).parent

# The rooms, from the ground up: each imports only from those before it.
ROOMS = (
    "errors", "terminal", "cores", "atomic_file", "fileformat", "pictures", "network", "entropy",
    "distortion", "weights", "coding", "api", "pillow", "export", "data", "training", "evaluation", "cli",
)  # fmt: skip
WITHOUT_TORCH = ("errors", "terminal", "cores", "atomic_file", "fileformat", "pictures", "pillow", "cli")
FRAMEWORKS = {"lightning", "hydra", "omegaconf", "wandb", "optuna"}  # only for data, training and evaluation


def modules() -> dict[str, Path]:
    """The file of each module."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("rnncodec", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.AST) -> set[str]:
    """The modules that are imported anywhere in ``tree``, also for types alone."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def imported(path: Path) -> set[str]:
    """The modules that a module imports, inside functions too."""
    return imports(ast.parse(path.read_text()))


def imported_at_once(path: Path) -> set[str]:
    """The packages that are imported as soon as a module is."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in tree.body:
        found |= imports(node) if isinstance(node, ast.Import | ast.ImportFrom) else set()
    return {name.partition(".")[0] for name in found}


def room(module: str) -> str:
    return module.split(".")[1]


@cache
def graph() -> dict[str, set[str]]:
    """The modules of the package that each of its modules imports. The package itself imports what it exports only when
    that is asked for, and is left out."""
    files = modules()
    del files["rnncodec"]
    return {name: (imported(path) & set(files)) - {name} for name, path in files.items()}


PACKAGES = {name.rpartition(".")[0] for name in modules()}


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """The nodes of a circle of ``arrows``; none if there is no circle."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_through_others() -> None:
    assert not circle(graph())


def folder(module: str) -> str:
    """The package that a module is in; of a module beside the rooms, the module itself."""
    return module if module in PACKAGES or module.count(".") == 1 else module.rpartition(".")[0]


def test_no_folder_imports_itself_through_others() -> None:
    arrows: dict[str, set[str]] = {}
    for name, others in graph().items():
        arrows.setdefault(folder(name), set()).update(folder(other) for other in others)
    assert not circle({name: others - {name} for name, others in arrows.items()})


@pytest.mark.parametrize("name", sorted(graph()))
def test_a_module_imports_only_from_its_own_room_and_from_those_before_it(name: str) -> None:
    assert room(name) in ROOMS
    after = ROOMS[ROOMS.index(room(name)) + 1 :]
    assert not [other for other in graph()[name] if room(other) in after]


@pytest.mark.parametrize("name", sorted(graph()))
def test_a_module_imports_at_once_only_what_its_room_needs(name: str) -> None:
    packages = imported_at_once(modules()[name])
    assert "wandb" not in packages
    if room(name) in WITHOUT_TORCH:
        assert "torch" not in packages
    if room(name) not in ("data", "training", "evaluation"):
        assert not packages & FRAMEWORKS
