"""Which way imports go between the modules of the package."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import rnncodec

PACKAGE = Path(rnncodec.__file__).parent


def modules() -> dict[str, Path]:
    """The file of each module."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("rnncodec", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> set[str]:
    """The modules that a module imports, inside functions too; but not those that only its types need."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_no_module_imports_itself_through_others() -> None:
    files = modules()
    graph = {name: (imported(path) & set(files)) - {name, "rnncodec"} for name, path in files.items()}
    graph["rnncodec"] = set()  # the package imports what it exports only when that is asked for
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import each other: {' → '.join(error.args[1])}")


def test_the_ground_floor_imports_nothing_above_it() -> None:
    files = modules()
    for name in ("bitstream", "metadata", "exif", "image_metadata", "rate"):
        assert "torch" not in imported(files[f"rnncodec.{name}"])
    assert not imported(files["rnncodec.codec"]) & {"lightning", "hydra", "hydra.utils", "wandb", "omegaconf"}
