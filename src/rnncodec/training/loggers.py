"""Functions that make the loggers.

Only Lightning's wrappers are imported here; wandb itself is imported where it is used, so that a run without it works.
"""

import netrc
import os
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from lightning.pytorch.loggers import CSVLogger, WandbLogger

from rnncodec.errors import ConfigurationError


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


def csv_logger(folder: str) -> CSVLogger:
    """Lightning's CSVLogger, which writes ``folder/csv-0/metrics.csv``. It cannot append to a file, so that a resumed
    run writes to ``csv-1``, and so on."""
    number = next(n for n in count() if not Path(folder, f"csv-{n}").exists())
    return CSVLogger(folder, name=None, version=f"csv-{number}")
