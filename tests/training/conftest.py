"""Configs of training runs, as train.py would compose them."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(shards_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("RNNCODEC_DATA", str(shards_dir))
    monkeypatch.setenv("RNNCODEC_OUTPUTS", str(tmp_path))
    if not OmegaConf.has_resolver("either"):
        OmegaConf.register_new_resolver("either", lambda first, second: first or second)

    def composed(*overrides: str, of: str = "train") -> DictConfig:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose(of, ["name=test", "data=shards", "folder=unused", "choices={}", *overrides])
        OmegaConf.set_struct(config, True)
        return config

    return composed
