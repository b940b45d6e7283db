"""The size of the page, as its command writes it."""

import os
from pathlib import Path

import pytest

from rnncodec.export.web import ARCHIVED, SPLIT, archived, split
from rnncodec.weights.released import released_models
from tests.commands import Command

MOST = 12_000_000  # bytes of all files
GRAPHS = 100_000  # about what an exported network holds besides its weights
FILES = {"index.html", "decoder.onnx.split.gz", "ort-wasm-simd-threaded.wasm.gz"}


def largest() -> str:
    models = released_models()
    return max(models, key=lambda name: models[name].stat().st_size)


def test_page_leaves_room_for_the_largest_released_weights(site_folder: Path) -> None:
    assert {path.name for path in site_folder.iterdir()} >= FILES
    network = f"{SPLIT}{ARCHIVED}"
    page = sum(path.stat().st_size for path in site_folder.iterdir() if not path.name.endswith(network))
    assert page + len(archived(split(released_models()[largest()].read_bytes()))) + GRAPHS <= MOST


@pytest.mark.slow
@pytest.mark.timeout(660)
def test_page_with_the_largest_released_model_is_small_enough(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    done = Command("-m", "rnncodec.cli", "web", largest(), "-o", tmp_path, environment=os.environ).wait(600)
    assert done.returncode == 0, done.stderr
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) >= FILES
    assert sum(sizes.values()) <= MOST
