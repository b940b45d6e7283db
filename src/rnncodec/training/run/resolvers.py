"""Functions that the options of train.py and evaluate.py call, as in ``${cores:…}``. Importing this registers them."""

import os
import warnings
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf


def gpus(accelerator: str, devices: int | str) -> int | None:
    """The GPUs that a job of a cluster asks for; None if it runs on a CPU."""
    return cores(devices, 0) if accelerator in ("cuda", "gpu") else None


def cores(devices: int | str, workers: int) -> int:
    """The cores that a job of a cluster asks for: one for each process and for each of its loader workers."""
    return (1 if devices == "auto" else int(devices)) * (1 + workers)


def environment(*prefixes: str) -> dict[str, str]:
    """The environment variables whose names start with one of the ``prefixes``."""
    return {name: value for name, value in os.environ.items() if name.startswith(prefixes)}


def choices() -> dict[str, str]:
    """The files that Hydra has taken from the groups of conf/, by group, as in ``{"model": "gru"}``."""
    chosen = HydraConfig.get().runtime.choices
    return {group: str(name) for group, name in chosen.items() if name is not None and "/" not in group}


def in_path(name: Any) -> str:
    """``name`` as a part of the name of one folder: a slash in it would make folders within each other."""
    return str(name).replace("/", "-").replace(os.sep, "-")


OmegaConf.register_new_resolver("in_path", in_path, replace=True)
OmegaConf.register_new_resolver("choices", choices, replace=True)
OmegaConf.register_new_resolver("either", lambda first, second: first or second, replace=True)
OmegaConf.register_new_resolver("gpus", gpus, replace=True)
OmegaConf.register_new_resolver("cores", cores, replace=True)
OmegaConf.register_new_resolver("environment", environment, replace=True)

# The presets in hydra/launcher have the names of Hydra's plugins. Hydra checks them against the plugins' options,
# and warns that it will not do so for ever.
warnings.filterwarnings("ignore", message="(?s).*automatic_schema_matching")
