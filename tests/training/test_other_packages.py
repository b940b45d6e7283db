"""Parts in a package of somebody's own, outside of the repository, with real runs of train.py."""

import json
import os
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
from safetensors import safe_open

from rnncodec.training.history import read_history
from rnncodec.training.run.outcome import read_result
from tests.commands import Command
from tests.training.test_runs import OURS, Trainer

PACKAGE = {
    "losses.py": """
        from torch import Tensor, nn


        class Charbonnier(nn.Module):
            def __init__(self, epsilon: float) -> None:
                super().__init__()
                self.epsilon = epsilon

            def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
                return ((reconstructions - images).square() + self.epsilon**2).sqrt().mean(dim=(1, 2, 3, 4))
        """,
    "data.py": """
        import lightning as L
        import torch
        from torch.utils.data import DataLoader


        class Ramps(L.LightningDataModule):
            def __init__(self, side: int) -> None:
                super().__init__()
                self.side = side

            def ramps(self, side: int, count: int) -> torch.Tensor:
                ramp = torch.linspace(0, 1, side).expand(3, side, side)
                return torch.stack([ramp**power for power in range(1, count + 1)])

            def train_dataloader(self) -> DataLoader:
                return DataLoader(self.ramps(self.side, 12)[self.trainer.global_rank :: self.trainer.world_size], 2)

            def val_dataloader(self) -> DataLoader:
                return DataLoader(self.ramps(176, 2), 1)
        """,
    "network.py": """
        import torch
        from torch import Tensor, nn
        from rnncodec.network.binarizer import Binarizer


        class Leaky(nn.Module):
            def __init__(self, in_channels, channels, kernel, stride, hidden_kernel, leak: float) -> None:
                super().__init__()
                self.leak = leak
                self.input_gates = nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2)
                self.hidden_gates = nn.Conv2d(channels, channels, hidden_kernel, padding=hidden_kernel // 2, bias=False)

            def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
                new = self.input_gates(x).float()
                if state is not None:
                    new = self.leak * state + new + self.hidden_gates(state).float()
                new = new.tanh()
                return new.to(x.dtype), new


        class Fading(nn.Module):
            def __init__(self, share: float = 0.5) -> None:
                super().__init__()
                self.share = share

            def gain(self, previous: Tensor, t: int | Tensor) -> Tensor:
                return previous.new_ones(())

            def forward(self, decoded: Tensor, previous: Tensor, gain: Tensor) -> Tensor:
                return self.share * previous + decoded.float()


        class Reversed(Binarizer):
            def binarize(self, activations: Tensor) -> Tensor:
                return torch.where(activations < 0, 1.0, -1.0).to(activations.dtype)
        """,
    "conf/model/leaky.yaml": """
        defaults: [/base/model@_here_, _self_]
        encoder_cell:
          _target_: elsewhere.network.Leaky
          leak: 0.9
        decoder_cell:
          _target_: elsewhere.network.Leaky
          leak: 0.5
        binarizer:
          _target_: elsewhere.network.Reversed
        """,
    "conf/reconstruction/fading.yaml": """
        _target_: elsewhere.network.Fading
        share: 0.75
        """,
    "contexts.py": """
        import torch
        from torch import Tensor, nn


        class Frequencies(nn.Module):
            def __init__(self, bits: int, iterations: int, start: float) -> None:
                super().__init__()
                self.logits = nn.Parameter(torch.full((iterations, 1, bits, 1, 1), start))

            def forward(self, codes: Tensor, start: int = 0) -> Tensor:
                return self.logits[start : len(codes)].expand_as(codes[start:])
        """,
    "conf/context/frequencies.yaml": """
        _target_: elsewhere.contexts.Frequencies
        start: 0.5
        """,
    "conf/loss/charbonnier.yaml": """
        _target_: elsewhere.losses.Charbonnier
        epsilon: 0.01
        """,
    "conf/data/ramps.yaml": """
        _target_: elsewhere.data.Ramps
        side: 32
        """,
}

TINY = ["model.width=0.03", "iterations=2", "logger=csv", "warmup_steps=1", "trainer.max_steps=4"]
TINY += ["trainer.log_every_n_steps=1"]


@pytest.fixture
def train(tmp_path: Path, shards_dir: Path) -> Trainer:
    """Runs train.py where the package `elsewhere` can be imported, and its folder of options is on Hydra's path."""
    for name, text in PACKAGE.items():
        path = tmp_path / "site" / "elsewhere" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    for folder in ("elsewhere", "elsewhere/conf"):
        (tmp_path / "site" / folder / "__init__.py").touch()
    trainer = Trainer(tmp_path, shards_dir)
    trainer.environment["PYTHONPATH"] = f"{OURS}{os.pathsep}{tmp_path / 'site'}"
    return trainer


def started(train: Trainer, *options: str) -> Path:
    """The folder of a run that is made with these options."""
    done = train(*options, "hydra.searchpath=[pkg://elsewhere.conf]", *TINY)
    assert done.returncode == 0, done.stderr
    return train.runs()[-1]


def test_data_and_a_loss_of_another_package_train_and_are_evaluated(train: Trainer) -> None:
    run = started(train, "data=ramps", "loss=charbonnier")
    result = read_result(run)
    assert result is not None
    assert result["steps"] == 4
    assert any(name.startswith("eval/") for name in result["metrics"])
    history = read_history(run)
    assert history["train/patches"][3] == 8
    assert list(history["val/loss"]) == [3]  # after the last step, in the middle of an epoch of 6 batches
    assert "data/corrupt" not in history


def test_context_model_of_another_package_measures_bits_in_the_rate_term_and_alone(train: Trainer) -> None:
    codec = started(train, "data=ramps", "context=frequencies", "rate_weight=[0.1]", "evaluate_at_end=false")
    assert 0 < read_history(codec)["val/bits_t02"][3] < 2
    small = ["patches=8", "data.batch_size=4", "data.val_crop=176", "data.val_photos=1", "logger=csv"]
    small += ["trainer.max_steps=2", "warmup_steps=1", "hydra.searchpath=[pkg://elsewhere.conf]"]
    done = train("--config-name=context", f"codec={codec}", "context=frequencies", *small)
    assert done.returncode == 0, done.stderr
    assert "is without the context model: Frequencies codes no files" in " ".join(done.stderr.split())
    (alone,) = set(train.runs()) - {codec}
    assert 0 < read_history(alone)["val/bits_t02"][1] < 2


def rnncodec(train: Trainer, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return Command("-m", "rnncodec.cli", *arguments, environment=train.environment | environment).wait()


def test_cells_framework_and_binarizer_of_another_package_train_resume_export_and_code_files(
    train: Trainer, tmp_path: Path, photos_dir: Path
) -> None:
    run = started(train, "model=leaky", "reconstruction=fading", "data=ramps", "evaluate_at_end=false")
    done = train(f"resume={run}", "trainer.max_steps=6")
    assert done.returncode == 0, done.stderr
    result = read_result(run)
    assert result is not None
    assert result["steps"] == 6
    shown = rnncodec(train, "info", "--model", str(run))
    assert shown.returncode == 0, shown.stderr
    assert "needs the package elsewhere" in " ".join(shown.stdout.split())
    weights = run / "weights.safetensors"
    with safe_open(weights, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
    assert config["decoder_cell"] == {"_target_": "elsewhere.network.Leaky", "leak": 0.5}
    assert config["reconstruction"] == {"_target_": "elsewhere.network.Fading", "share": 0.75}
    refused = rnncodec(train, "info", "--model", str(weights))
    assert refused.returncode == 4
    assert "needs elsewhere.network." in refused.stderr.replace("\n", " ")
    assert "set RNNCODEC_PACKAGES=elsewhere" in " ".join(refused.stderr.split())
    photo, coded, decoded = photos_dir / "photo-0.png", tmp_path / "photo.rnnc", tmp_path / "photo.png"
    done = rnncodec(train, "compress", str(photo), "-o", str(coded), "--model", str(run))
    assert done.returncode == 0, done.stderr
    trusted = {"RNNCODEC_PACKAGES": "elsewhere"}
    done = rnncodec(train, "decompress", str(coded), "-o", str(decoded), "--model", str(weights), **trusted)
    assert done.returncode == 0, done.stderr
    assert decoded.is_file()


def test_parts_of_another_package_train_in_several_processes_in_a_multirun(train: Trainer) -> None:
    options = ["reconstruction=fading", "data=ramps", "trainer=ddp_cpu", "evaluate_at_end=false"]
    run = started(train, "-m", "model=leaky", *options)
    result = read_result(run)
    assert result is not None
    assert result["steps"] == 4
    assert read_history(run)["train/patches"][3] == 16
