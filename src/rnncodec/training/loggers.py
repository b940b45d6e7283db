"""The loggers of a run: its history on disk, and Weights & Biases.

wandb itself is imported where it is used, so that a run without it works.
"""

import contextlib
import netrc
import os
import socket
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import getproxies, proxy_bypass

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from rnncodec.atomic_file import replacing
from rnncodec.errors import ConfigurationError
from rnncodec.terminal import log
from rnncodec.training.build import build
from rnncodec.training.history_logger import HistoryLogger

BEST = {  # figures whose best value is in the summary, beside the last
    "val/loss": "min",
    "val/bits_t*": "min",
    "val/psnr_t*": "max",
    "val/ms_ssim_t*": "max",
    "val/ms_ssim_db_t*": "max",
    "train/loss": "min",
}
HIDDEN = (  # without a panel of their own; two charts show them
    "train/loss_t*", "train/bits_t*", "val/bits_t*", "val/saved_t*", "val/psnr_t*", "val/ms_ssim_t*",
    "val/ms_ssim_db_t*",
)  # fmt: skip


def build_loggers(config: DictConfig) -> list[Logger]:
    """The loggers of a run: its history on disk, always, and the one that the group ``logger`` names, if any."""
    history = HistoryLogger(config.folder)
    return [history, build(config.logger)] if config.logger else [history]


PATIENCE = 5.0  # seconds, to reach W&B
FOLDERS = {  # where wandb keeps files of its own, by the variable that names another place
    "WANDB_CACHE_DIR": "~/.cache/wandb",
    "WANDB_CONFIG_DIR": "~/.config/wandb",
    "WANDB_DATA_DIR": "~/.local/share/wandb",
}


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
            before = read_count(self.counted)
            self.ahead = max(0, before + 1 - self.step, run.step - self.step)
        run.log({**metrics, "trainer/global_step": self.step}, step=self.step + self.ahead)
        self.counted.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.counted) as temporary:
            temporary.write_text(str(self.step + self.ahead))

    def sync_command(self) -> str | None:
        """The command that uploads all parts of this run; None if they are uploaded already."""
        return f"wandb sync {self.counted.parent}/offline-run-*" if self.experiment.offline else None


def read_count(path: Path) -> int:
    """The number in a file; -1 if there is no file, or if it is damaged."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return -1


def wandb_logger(**options: Any) -> RunLogger:
    """A RunLogger. Without an API key it is offline, so that it never asks for one; so it is where W&B
    cannot be reached within PATIENCE, instead of waiting and failing. If WANDB_MODE is set, it decides instead. Where
    nothing can be written to the user's home, wandb's own files are in the folder of the run.

    Raises:
        ConfigurationError: wandb is not installed.
    """
    if "WANDB_MODE" not in os.environ:
        if not has_api_key():
            os.environ["WANDB_MODE"] = "offline"
        elif not reachable(address := server()):
            os.environ["WANDB_MODE"] = "offline"
            log.print(
                f"W&B at {address} cannot be reached: the run is logged offline; upload it later with  wandb sync",
                soft_wrap=True,
            )
    leave_home(Path(options.get("save_dir") or "."))
    try:
        return RunLogger(**options)
    except ModuleNotFoundError:
        raise ConfigurationError("wandb is not installed: pip install wandb, or choose logger=csv") from None


def has_api_key() -> bool:
    """Whether WANDB_API_KEY is set, or `wandb login` has left a key in the user's netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(server()).hostname or ""
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


def server() -> str:
    """The address of the W&B server."""
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")


def reachable(address: str) -> bool:
    """Whether a connection to the server at ``address``, or to the proxy on the way there, is made within PATIENCE.
    Looking up a name cannot be given a time, so that a thread does it."""
    parts = urlparse(address)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    if proxy:
        parts = urlparse(proxy)
    found = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError, ValueError):
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname or "", port), timeout=PATIENCE).close()
            found.set()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return found.is_set()


def leave_home(folder: Path) -> None:
    """Let wandb keep its own files in ``folder`` where it may not write to the user's home."""
    moved = {
        variable: folder / "wandb" / variable.lower()
        for variable, place in FOLDERS.items()
        if variable not in os.environ and not may_write(Path(place).expanduser())
    }
    os.environ |= {variable: str(path.absolute()) for variable, path in moved.items()}
    if moved:
        log.print(
            f"nothing can be written to the home folder: files of wandb are in {folder / 'wandb'}", soft_wrap=True
        )


def may_write(folder: Path) -> bool:
    """Whether files can be written to ``folder``, which is made if it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
