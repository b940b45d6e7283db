import json
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import step_seconds
from benchmarks.steps import step_of
from benchmarks.training import composed
from rnncodec.training.module import CodecModule
from rnncodec.training.run.saved_config import save_config

TINY = ["model.width=0.03", "data.batch_size=2", "compile=false"]


def test_runs_are_measured_by_their_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {"0-few": ["iterations=1"], "1-few": ["iterations=1", "seed=1"], "2-many": ["iterations=6"]}
    for name, options in runs.items():
        save_config(composed([*TINY, *options]), tmp_path / "sweep" / name)
    output = tmp_path / "step_seconds.json"
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "sweep"), "-o", str(output), "--repeats", "2"])
    step_seconds.main()
    taken = json.loads(output.read_text())
    assert list(taken) == [f"sweep/{name}" for name in runs]
    assert taken["sweep/0-few"] == taken["sweep/1-few"] > 0
    assert taken["sweep/2-many"] > 0
    assert capsys.readouterr().out.count("| sweep/") == 2


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_step_has_the_precision_of_the_run(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = []

    def training_step(module: CodecModule, images: Tensor, batch_idx: int) -> Tensor:
        mixed.append(torch.is_autocast_enabled("cpu"))
        return next(module.parameters()).sum()

    monkeypatch.setattr(CodecModule, "training_step", training_step)
    step_of(composed([*TINY, f"trainer.precision={precision}"]))()
    assert mixed == [precision == "bf16-mixed"]
