"""The tutorial of the documentation, run as a reader runs it, with fewer steps of training."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import rnncodec

ROOT = Path(__file__).parents[1]
SHORT = """\
STEPS = 2
OPTIONS = [
    "experiment=quickstart", "trainer.max_steps=1", "model.width=0.03", "iterations=2", "data.batch_size=1",
    "data.val_photos=1", "data.val_crop=176", "callbacks.evaluation.photos=1",
]
"""


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)


def draws(cell: nbformat.NotebookNode) -> bool:
    return any("image/jpeg" in output.get("data", {}) for output in cell.get("outputs", []))


@pytest.mark.timeout(900)
def test_the_tutorial_runs(notebook: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNCODEC_OUTPUTS", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    executed = nbformat.from_dict(notebook)
    drawn = [draws(cell) for cell in executed.cells]
    (parameters,) = (cell for cell in executed.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source = SHORT
    NotebookClient(executed, timeout=800, resources={"metadata": {"path": str(ROOT / "docs")}}).execute()
    assert [draws(cell) for cell in executed.cells] == drawn  # the site shows the output that is in the file
    (outputs,) = (tmp_path / "tutorial").iterdir()
    assert rnncodec.decompress((outputs / "cat.rnnc").read_bytes()).size == (448, 288)
    assert (outputs / "report.html").stat().st_size > 100_000
    assert len(list(outputs.glob("runs/*/weights.safetensors"))) == 2


def test_the_tutorial_has_the_output_of_one_whole_run_without_errors(notebook: nbformat.NotebookNode) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
