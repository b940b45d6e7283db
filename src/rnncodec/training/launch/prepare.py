"""The beginning of a training run: its options are checked, and saved in its folder."""

import uuid
from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from rnncodec.errors import ConfigurationError
from rnncodec.training.build import build_training, trains_context
from rnncodec.training.loggers import agents_run_id, build_loggers
from rnncodec.training.process.device import resolve_accelerator, resolve_precision
from rnncodec.training.run.checks import check_options
from rnncodec.training.run.folder import CONFIG
from rnncodec.training.run.saved_config import load_config, save_config
from rnncodec.weights.weights_file import load_model

MISSING = object()


def prepare(config: DictConfig, folder: Path) -> None:
    """Make ``folder`` the folder of a run: check that ``config`` can train, replace the options that are ``auto`` by
    what this machine has, and save the config there.

    Raises:
        RnncodecError: an option has a wrong value, or ``folder`` holds a run already; nothing was written.
    """
    trainer = config.trainer
    trainer.accelerator = resolve_accelerator(trainer.accelerator)
    trainer.precision = resolve_precision(trainer.precision, trainer.accelerator)
    if trainer.devices == "auto":
        trainer.devices = torch.cuda.device_count() if trainer.accelerator in ("cuda", "gpu") else 1
    config.run_id = config.run_id or agents_run_id() or uuid.uuid4().hex[:8]
    config.folder = str(folder)
    for name in ("name", "group", "choices"):
        config[name] = config[name]  # they may refer to hydra's own config, which is not saved
    check(config)
    claim(folder)
    save_config(config, folder)


def claim(folder: Path) -> None:
    """Make ``folder`` the folder of a new run.

    Raises:
        ConfigurationError: it holds a run already, for example one that was started in the same second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / CONFIG).touch(exist_ok=False)
    except FileExistsError:
        raise ConfigurationError(
            f"{folder} holds a run already; continue it with resume={folder}, or choose another folder with "
            "hydra.run.dir=…"
        ) from None


def resume(folder: Path, overrides: Sequence[str]) -> None:
    """Take up the run in ``folder`` again, with single options changed by ``overrides`` (``trainer.max_steps=…``).

    Raises:
        RnncodecError: ``folder`` holds no run, or an override names a group or an option that does not exist.
    """
    config = load_config(folder)
    changes = [override for override in overrides if not override.startswith("resume=")]
    for option in (change.split("=")[0] for change in changes):
        current = OmegaConf.select(config, option, default=MISSING)
        if current is MISSING or OmegaConf.is_config(current):
            raise ConfigurationError(
                f"'{option}' cannot be changed when a run is resumed: it is no single option of this run"
            )
    config.merge_with_dotlist(changes)
    check(config)
    save_config(config, folder)


def check(config: DictConfig) -> None:
    """Find in seconds what would fail in training: build everything but the trainer.

    Raises:
        RnncodecError: says what the first option is that cannot work.
    """
    if trains_context(config) and config.iterations is None:
        config.iterations = load_model(config.codec).training_info["iterations"]
    check_options(config)
    devices, present = config.trainer.devices, torch.cuda.device_count()
    if config.trainer.accelerator in ("cuda", "gpu") and devices > present:
        raise ConfigurationError(f"trainer.devices={devices}, but this machine has {present} GPUs that torch can use")
    build_training(config)
    build_loggers(config)
