import shutil
from pathlib import Path

import pytest

from rnncodec.evaluation.measurement import evaluate
from rnncodec.pictures.folders import find_images
from tests.defaults import evaluation_options


@pytest.fixture(scope="session")
def result(tiny_weights: Path, photos_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an evaluation of `tiny_weights` on two photos, with JPEG beside it."""
    images = tmp_path_factory.mktemp("two")
    for name in ("photo-0.png", "photo-1.png"):
        shutil.copy(photos_dir / name, images)
    folder = tmp_path_factory.mktemp("result") / "tiny-two"
    options = evaluation_options(tiny_weights, find_images(images), baselines=("jpeg",))
    evaluate(options, folder, lambda *_: None)
    return folder


@pytest.fixture(scope="session")
def run_folder(result: Path, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training run which was evaluated."""
    run = tmp_path_factory.mktemp("runs") / "2026-01-01-gru"
    shutil.copytree(result, run / "evaluations" / "two")
    shutil.copy(tiny_weights, run / "weights.safetensors")
    (run / "config.yaml").write_text("iterations: 3\nmodel:\n  width: 0.03\nloss: {_target_: L1}\nname: x\n")
    (run / "history.csv").write_text("step,train/loss,val/loss,train/seconds\n0,0.5,,1\n1,,0.4,2\n2,0.25,,3\n")
    return run
