"""Functions that make the loggers.

Only Lightning's wrappers are imported here; wandb itself is imported where it is used, so that a run without it works.
"""

import netrc
import os
from typing import Any
from urllib.parse import urlparse

from lightning.pytorch.loggers import Logger, WandbLogger
from omegaconf import DictConfig

from rnncodec.errors import ConfigurationError
from rnncodec.training.build import build
from rnncodec.training.history import HistoryLogger


def build_loggers(config: DictConfig) -> list[Logger]:
    """The loggers of a run: its history on disk, always, and the one that the group ``logger`` names, if any."""
    history = HistoryLogger(config.folder)
    return [history, build(config.logger)] if config.logger else [history]


def wandb_logger(**options: Any) -> WandbLogger:
    """Lightning's WandbLogger. Without an API key it is offline, so that it never asks for one. If WANDB_MODE is set,
    it decides instead.

    Raises:
        ConfigurationError: wandb is not installed.
    """
    if "WANDB_MODE" not in os.environ and not has_api_key():
        os.environ["WANDB_MODE"] = "offline"
    try:
        return WandbLogger(**options)
    except ModuleNotFoundError:
        raise ConfigurationError("wandb is not installed: pip install wandb, or choose logger=csv") from None


def has_api_key() -> bool:
    """Whether WANDB_API_KEY is set, or `wandb login` has left a key in the user's netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
