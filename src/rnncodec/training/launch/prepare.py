"""The beginning of a training run: its options are checked, and saved in its folder."""

import copy
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig, OmegaConf

from rnncodec.cores import warn_of_few_cores
from rnncodec.errors import ConfigurationError
from rnncodec.fileformat.bitstream import RAW
from rnncodec.training.build import build_training, trains_context
from rnncodec.training.loggers import agents_run_id, build_loggers
from rnncodec.training.process.device import resolve_accelerator, resolve_precision
from rnncodec.training.run.checkpoints import newest, without_values
from rnncodec.training.run.checks import check_options
from rnncodec.training.run.folder import CHECKPOINTS, holds_run
from rnncodec.training.run.saved_config import load_config, save_config
from rnncodec.weights.weights_file import identities, load_model

MISSING = object()

# Options, or groups of them, that a run keeps for ever: its checkpoints hold weights, or count batches, by them.
KEPT = (
    "model", "reconstruction", "context", "codec", "patches", "weights", "frozen", "optimizer._target_",
    "trainer.accumulate_grad_batches", "data.steps_per_epoch", "iterations", "codec_identity",
)  # fmt: skip


def prepare(config: DictConfig, folder: Path) -> None:
    """Make ``folder``, which is locked, the folder of a run: check that ``config`` can train, and save it there,
    complete.

    Raises:
        RnncodecError: an option has a wrong value, or ``folder`` holds a run already; nothing was written.
    """
    config = completed(config, folder)
    check(config)
    if holds_run(folder):  # for example one that was started in the same second
        raise ConfigurationError(
            f"{folder} holds a run already; continue it with resume={folder}, or choose another folder with "
            "hydra.run.dir=…"
        )
    save_config(config, folder)


def completed(config: DictConfig, folder: Path) -> DictConfig:
    """A copy of ``config`` for the run in ``folder``, in which options that are ``auto`` have the values that this
    machine gives them."""
    config = copy.deepcopy(config)
    trainer = config.trainer
    trainer.accelerator = resolve_accelerator(trainer.accelerator)
    trainer.precision = resolve_precision(trainer.precision, trainer.accelerator)
    if trainer.devices == "auto":
        trainer.devices = max(1, torch.cuda.device_count()) if trainer.accelerator in ("cuda", "gpu") else 1
    config.run_id = config.run_id or agents_run_id() or uuid.uuid4().hex[:8]
    config.folder = str(folder)
    for name in ("name", "group", "choices"):
        config[name] = config[name]  # they may refer to hydra's own config, which is not saved
    # These may refer to the environment, which a resumed run may not have.
    for group, names in (("data", ("train", "val")), ("logger", ("project", "entity"))):
        for name in names:
            if config[group] is not None and name in config[group]:
                config[group][name] = config[group][name]
    if trains_context(config):
        codec = load_model(config.codec)
        config.codec_identity = identities(codec)[RAW].hex()
        if config.iterations is None:
            config.iterations = codec.trained_iterations
    return config


def resume(folder: Path, overrides: Sequence[str], started: DictConfig | None = None) -> None:
    """Take up the run in ``folder`` again, with single options changed by ``overrides`` (``trainer.max_steps=…``), and
    then by ``started``.

    Raises:
        RnncodecError: ``folder`` holds no run; an override names a group, or an option that does not exist or that a
            run keeps; or the checkpoint does not fit the options. Nothing was written.
    """
    config = load_config(folder)
    before = copy.deepcopy(config)
    changes = [override for override in overrides if not override.startswith("resume=")]
    options = [change.split("=")[0] for change in changes]
    for option in options:
        current = OmegaConf.select(config, option, default=MISSING)
        if current is MISSING or OmegaConf.is_dict(current):
            raise ConfigurationError(
                f"'{option}' cannot be changed when a run is resumed: it is no single option of this run"
            )
    config.merge_with_dotlist(changes)
    for option in options:
        old, new = OmegaConf.select(before, option), OmegaConf.select(config, option)
        if new != old and f"{option}.".startswith(tuple(f"{kept}." for kept in KEPT)):
            raise ConfigurationError(
                f"{option} cannot be changed from {old} to {new} when a run is resumed; start a new run instead, from "
                f"these weights by weights={folder}"
            )
    if started is not None:
        config.merge_with(started)
    check_fits(check(config), config, folder)
    save_config(config, folder)


def check_fits(module: L.LightningModule, config: DictConfig, folder: Path) -> None:
    """Check that ``module`` can go on from the newest checkpoint in ``folder``. Raises ConfigurationError if not."""
    path = newest(folder / CHECKPOINTS, quiet=True)
    if path is None:
        return
    checkpoint: dict[str, Any] = without_values(path)
    if config.trainer.max_steps < checkpoint["global_step"]:
        raise ConfigurationError(
            f"trainer.max_steps={config.trainer.max_steps}, but the run has trained {checkpoint['global_step']} steps "
            "already"
        )
    wanted, saved = (
        {name: tuple(tensor.shape) for name, tensor in state.items()}
        for state in (module.state_dict(), checkpoint["state_dict"])
    )
    wrong = sorted(name for name in wanted.keys() | saved.keys() if wanted.get(name) != saved.get(name))
    if wrong:
        raise ConfigurationError(
            f"the checkpoint {path} does not fit the options: {wrong[0]} has the shape {saved.get(wrong[0])} there, "
            f"and {wanted.get(wrong[0])} by the options"
        )


def check(config: DictConfig) -> L.LightningModule:
    """Find in seconds what would fail in training: build everything but the trainer. Returns the module.

    Raises:
        RnncodecError: says what the first option is that cannot work.
    """
    check_options(config)
    devices, present = config.trainer.devices, torch.cuda.device_count()
    if config.trainer.accelerator in ("cuda", "gpu") and devices > present:
        raise ConfigurationError(
            f"trainer.accelerator={config.trainer.accelerator} with trainer.devices={devices}, but torch can use "
            f"{present} GPUs of this machine"
        )
    if config.trainer.accelerator == "cpu":
        warn_of_few_cores(devices, f"trainer.devices={devices}")
    module, _ = build_training(config)
    build_loggers(config)
    return module
