"""Checks of the options of a run that no class checks when it is built from them."""

import math
import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rnncodec.errors import ConfigurationError
from rnncodec.network.options import is_whole
from rnncodec.network.residual_normalization import CAPACITY

WHOLE = {  # the least and the most that each of these may be
    "iterations": (1, CAPACITY),
    "trainer.max_steps": (1, 10**9),
    "trainer.devices": (1, 1024),
    "trainer.accumulate_grad_batches": (1, 10**6),
    "trainer.log_every_n_steps": (1, 10**9),
    "warmup_steps": (0, 10**9),
    "seed": (0, 2**32 - 1),
}
REAL = {  # the same, for numbers that need not be whole
    "final_lr": (0.0, 1.0),
    "rate_plateau": (1.0, float(CAPACITY)),
    "rate_power": (0.0, 4.0),
    "rate_slope": (0.0, 1.0),
    "optimizer.lr": (1e-12, 1e3),
    "callbacks.average.decay": (0.0, 1.0),
    "trainer.gradient_clip_val": (1e-12, 1e12),
}
MATMUL_PRECISIONS = ("highest", "high", "medium")  # of torch.set_float32_matmul_precision
PRECISIONS = ("auto", "32-true", "64-true", "16-mixed", "bf16-mixed")


def check_options(config: DictConfig) -> None:
    """Check the type and the range of single options.

    Raises:
        ConfigurationError: names the first option that cannot work, what it must be, and what it is.
    """
    if "sweep" in config:  # Hydra takes +sweep=NAME for a new option where it finds no folder of sweeps
        raise ConfigurationError("conf/sweep must be a link to the folder sweeps; git makes it with core.symlinks=true")
    for option, (least, most) in WHOLE.items():
        value = OmegaConf.select(config, option)
        if not is_whole(value, least, most):
            raise ConfigurationError(f"{option} must be a whole number from {least} to {most}, not {value}")
    for option, limits in REAL.items():
        value = OmegaConf.select(config, option, default=limits[0])  # a context model's run lacks some
        if value is None and option == "trainer.gradient_clip_val":
            continue  # no clipping
        if not (is_real(value) and limits[0] <= value <= limits[1]):
            raise ConfigurationError(f"{option} must be a number from {limits[0]:g} to {limits[1]:g}, not {value}")
    if config.trainer.precision not in PRECISIONS:
        raise ConfigurationError(
            f"trainer.precision must be one of {', '.join(PRECISIONS)}, not {config.trainer.precision}"
        )
    matmul = config.get("matmul_precision", "highest")
    if matmul not in MATMUL_PRECISIONS:
        raise ConfigurationError(f"matmul_precision must be one of {', '.join(MATMUL_PRECISIONS)}, not {matmul}")
    benchmark = config.trainer.get("benchmark")
    if benchmark is not None and not isinstance(benchmark, bool):
        raise ConfigurationError(f"trainer.benchmark must be true or false, not {benchmark}")
    max_time = config.trainer.max_time
    if max_time is not None and not re.fullmatch(r"\d+:\d+:\d+:\d+", str(max_time)):
        raise ConfigurationError(f"trainer.max_time must have the form DD:HH:MM:SS, not {max_time}")
    if "compile" in config and config.compile != "auto" and not isinstance(config.compile, bool):
        raise ConfigurationError(f"compile must be auto, true or false, not {config.compile}")
    for option in ("curriculum", "rate_weight", "frozen"):
        if config.get(option) is not None and not OmegaConf.is_list(config[option]):
            raise ConfigurationError(f"{option} needs a list, as in {option}=[{config[option]}]")


def is_real(value: Any) -> bool:
    """Whether ``value`` is a finite number. True and False are not numbers here."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
