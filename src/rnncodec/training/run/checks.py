"""Checks of the options of a run that no class checks when it is built from them."""

import re

from omegaconf import DictConfig, OmegaConf

from rnncodec.errors import ConfigurationError
from rnncodec.network.options import is_real, is_whole
from rnncodec.network.residual_normalization import CAPACITY
from rnncodec.training.run.older_options import GONE, UNNAMED

# The least and the most that each of these may be. Where the least is written with a point, it need not be whole.
RANGES: dict[str, tuple[float, float]] = {
    "iterations": (1, CAPACITY),
    "warmup_steps": (0, 10**9),
    "rate_plateau": (1.0, CAPACITY),
    "final_lr": (0.0, 1.0),
    "seed": (0, 2**32 - 1),
    "trainer.max_steps": (1, 10**9),
    "trainer.devices": (1, 1024),
    "trainer.accumulate_grad_batches": (1, 10**6),
    "trainer.log_every_n_steps": (1, 10**9),
    "trainer.gradient_clip_val": (1e-12, 1e12),
    "optimizer.lr": (1e-12, 1e3),
    "callbacks.average.decay": (0.0, 1.0),
    "callbacks.last.every_n_steps": (1, 10**9),
    "callbacks.last.every_n_minutes": (0.0, 1e6),
    "callbacks.validation.first_after_minutes": (0.0, 1e6),
    "callbacks.evaluation.photos": (1, 10**6),
}
OPTIONAL = ("trainer.gradient_clip_val", "callbacks.last.every_n_steps", "callbacks.last.every_n_minutes")  # or null
CHOICES = {  # what each of these may be
    "trainer.accelerator": ("auto", "cpu", "cuda", "gpu", "mps"),
    "trainer.precision": ("auto", "32-true", "64-true", "16-mixed", "bf16-mixed"),
    "trainer.benchmark": (True, False, None),
    "matmul_precision": ("highest", "high", "medium"),
    "compile": ("auto", True, False),
    "trainer.gradient_clip_algorithm": ("norm", None),
}
LISTS = ("curriculum", "rate_weight", "frozen")


def check_options(config: DictConfig) -> None:
    """Check the type and the range of single options. One that a run lacks, because it trains a context model or does
    without a callback, is not checked.

    Raises:
        ConfigurationError: names the first option that cannot work, what it must be, and what it is.
    """
    if "sweep" in config:  # Hydra takes +sweep=NAME for a new option where it finds no folder of sweeps
        if OmegaConf.is_dict(config.sweep):
            raise ConfigurationError(
                "sweeps/wandb.yaml is a sweep of W&B, not of Hydra; it starts by  wandb sweep sweeps/wandb.yaml"
            )
        raise ConfigurationError("conf/sweep must be a link to the folder sweeps; git makes it with core.symlinks=true")
    for option in GONE:
        if config.get(option, UNNAMED[option]) != UNNAMED[option]:
            raise ConfigurationError(f"{option}={config[option]} is an option that this version has no longer")
    for option, (least, most) in RANGES.items():
        value = OmegaConf.select(config, option, default=least)
        if value is None and option in OPTIONAL:
            continue
        if isinstance(least, int) and not is_whole(value, least, most):
            raise ConfigurationError(f"{option} must be a whole number from {least} to {most}, not {value}")
        if not is_real(value, least, most):
            raise ConfigurationError(f"{option} must be a number from {least:g} to {most:g}, not {value}")
    for option, choices in CHOICES.items():
        value = OmegaConf.select(config, option, default=choices[0])
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            names = ", ".join("null" if choice is None else str(choice).lower() for choice in choices)
            raise ConfigurationError(f"{option} must be one of {names}, not {value}")
    max_time = config.trainer.max_time
    if max_time is not None and not re.fullmatch(r"\d+:\d+:\d+:\d+", str(max_time)):
        raise ConfigurationError(f"trainer.max_time must have the form DD:HH:MM:SS, not {max_time}")
    if config.trainer.precision == "16-mixed" and OmegaConf.select(config, "optimizer.fused"):
        raise ConfigurationError(
            "optimizer.fused=true does not work with trainer.precision=16-mixed, which clips gradients before the "
            "optimizer has taken its scale off them; use bf16-mixed, or optimizer.fused=false"
        )
    for option in LISTS:
        if config.get(option) is not None and not OmegaConf.is_list(config[option]):
            raise ConfigurationError(f"{option} needs a list, as in {option}=[{config[option]}]")
