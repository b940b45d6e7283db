"""The loggers of a run: its history on disk, and Weights & Biases.

wandb itself is imported where it is used, so that a run without it works.
"""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from rnncodec.errors import ConfigurationError
from rnncodec.training.build import build
from rnncodec.training.history import HistoryLogger

BEST = {  # figures whose best value is in the summary, beside the last
    "val/loss": "min",
    "val/bits_t*": "min",
    "val/psnr_t*": "max",
    "val/ms_ssim_t*": "max",
    "val/ms_ssim_db_t*": "max",
    "train/loss": "min",
}
BY_ITERATION = ("train/loss_t*", "train/bits_t*", "val/bits_t*", "val/saved_t*", "val/psnr_t*", "val/ms_ssim_t*")
HIDDEN = (*BY_ITERATION, "val/ms_ssim_db_t*")  # without a panel of their own; two charts show them


def build_loggers(config: DictConfig) -> list[Logger]:
    """The loggers of a run: its history on disk, always, and the one that the group ``logger`` names, if any."""
    history = HistoryLogger(config.folder)
    return [history, build(config.logger)] if config.logger else [history]


class RunLogger(WandbLogger):
    """Lightning's WandbLogger, in which W&B's own count of steps (``_step``) is that of the training.

    Lightning lets W&B count the calls. So the offline part of a resumed run began at 0 again, and W&B, which puts the
    parts together by this number, took it for what was there before. Where steps are trained again, because the run was
    killed after its last checkpoint, the count goes on; ``trainer/global_step``, over which charts are drawn, is always
    the step of the training.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.step = 0  # that was logged last
        self.ahead: int | None = None  # by how much _step is more than the step of the training; unknown at the start

    @property
    def counted(self) -> Path:
        """The file that holds the last ``_step`` of this run."""
        return Path(self.save_dir or ".") / "wandb" / "last_step"

    @rank_zero_only
    def log_hyperparams(self, *arguments: Any, **options: Any) -> None:
        super().log_hyperparams(*arguments, **options)
        for name, best in BEST.items():
            self.experiment.define_metric(name, summary=f"{best},last", step_metric="trainer/global_step")
        for name in HIDDEN:
            self.experiment.define_metric(name, hidden=True, step_metric="trainer/global_step")

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log ``metrics`` at ``step`` of the training, or at the last one that was logged."""
        self.step = self.step if step is None else step
        run = self.experiment
        if self.ahead is None:
            before = int(self.counted.read_text()) if self.counted.is_file() else -1
            self.ahead = max(0, before + 1 - self.step, run.step - self.step)
        run.log({**metrics, "trainer/global_step": self.step}, step=self.step + self.ahead)
        self.counted.parent.mkdir(parents=True, exist_ok=True)
        self.counted.write_text(str(self.step + self.ahead))

    def sync_command(self) -> str | None:
        """The command that uploads all parts of this run; None if they are uploaded already."""
        return f"wandb sync {self.counted.parent}/offline-run-*" if self.experiment.offline else None


def wandb_logger(**options: Any) -> RunLogger:
    """A RunLogger. Without an API key it is offline, so that it never asks for one. If WANDB_MODE is set, it decides
    instead.

    Raises:
        ConfigurationError: wandb is not installed.
    """
    if "WANDB_MODE" not in os.environ and not has_api_key():
        os.environ["WANDB_MODE"] = "offline"
    try:
        return RunLogger(**options)
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


def agents_run_id() -> str | None:
    """The id that the agent of a W&B sweep has given to this run, or the user has (WANDB_RUN_ID). None in a job of a
    multirun, because all jobs would have the same."""
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        return None
    return os.environ.get("WANDB_RUN_ID")
