"""The config of a training run, as it is saved in the run's folder. Every process of the run starts from this file."""

from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

import rnncodec.training.run.resolvers  # noqa: F401
from rnncodec.atomic_file import replacing
from rnncodec.errors import ConfigurationError
from rnncodec.training.run.folder import CONFIG


def load_config(folder: Path) -> DictConfig:
    """The saved config of the run in ``folder``.

    Raises:
        ConfigurationError: ``folder`` holds no run, or one from a version whose options had other names.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ConfigurationError(f"{folder} is not the folder of a run: it has no {CONFIG}")
    config = cast(DictConfig, OmegaConf.load(path))
    if "task" in config:
        instead = (
            "train the context model anew" if config.task == "entropy" else f"start a new run with weights={folder}"
        )
        raise ConfigurationError(
            f"{folder} cannot be resumed, because rnncodec 0.1 made it, whose options had other names; {instead}"
        )
    config.folder = str(folder)  # it may have been moved
    return config


def resolved(config: DictConfig) -> dict[str, Any]:
    """``config`` as a plain dictionary, with the values of all references."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))


def save_config(config: DictConfig, folder: Path) -> None:
    """Save ``config`` as that of the run in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / CONFIG) as temporary:
        OmegaConf.save(config, temporary)
