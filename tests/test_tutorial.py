"""The tutorial of the documentation, run as a reader runs it, with fewer steps of training."""

import os
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

import rnncodec
from tests.commands import Command

ROOT = Path(__file__).parents[1]
SHORT = """\
%matplotlib inline
# (above) Jupyter chooses it when matplotlib is imported, which it was before in a process that is forked
STEPS = 2
OPTIONS = [
    "experiment=quickstart", "trainer.max_steps=1", "model.width=0.03", "iterations=2", "data.batch_size=1",
    "data.val_photos=1", "data.val_crop=176", "callbacks.evaluation.photos=1", "logger=csv",
]
"""


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)


def draws(cell: nbformat.NotebookNode) -> bool:
    return any("image/jpeg" in output.get("data", {}) for output in cell.get("outputs", []))


class Kernel(AsyncKernelManager):
    """Jupyter's process that runs the cells: a `Command`, in the folder of the notebook."""

    has_kernel = True

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        self.write_connection_file()
        arguments = ["-m", "ipykernel_launcher", "-f", self.connection_file]
        self.command = Command(*arguments, environment=environment, folder=ROOT / "docs")

    async def _async_is_alive(self) -> bool:
        return self.command.poll() is None

    is_alive = _async_is_alive  # type: ignore[assignment]

    async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:  # type: ignore[override]
        self.command.kill()


@pytest.mark.timeout(900)
def test_the_tutorial_runs(notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
    executed = nbformat.from_dict(notebook)
    drawn = [draws(cell) for cell in executed.cells]
    (parameters,) = (cell for cell in executed.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source = SHORT
    places = {"RNNCODEC_OUTPUTS": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}
    kernel = Kernel(os.environ | places)
    try:
        NotebookClient(executed, km=kernel, timeout=800).execute()
    finally:
        kernel.command.kill()
    assert [draws(cell) for cell in executed.cells] == drawn  # the site shows the output that is in the file
    (outputs,) = (tmp_path / "tutorial").iterdir()
    assert rnncodec.decompress((outputs / "cat.rnnc").read_bytes()).size == (448, 288)
    assert (outputs / "report.html").stat().st_size > 100_000
    assert len(list(outputs.glob("runs/*/weights.safetensors"))) == 2


def test_the_tutorial_has_the_output_of_one_whole_run_without_errors(notebook: nbformat.NotebookNode) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
