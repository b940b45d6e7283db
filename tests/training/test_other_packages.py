"""Parts in a package of somebody's own, outside of the repository, with real runs of train.py."""

import os
from pathlib import Path
from textwrap import dedent

import pytest

from rnncodec.training.history import read_history
from rnncodec.training.run.outcome import read_result
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
    done = train("hydra.searchpath=[pkg://elsewhere.conf]", *TINY, *options)
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
