"""Functions that the options of train.py and evaluate.py call, as in ``${cores:…}``. Importing this registers them."""

import os
import re
import warnings
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from rnncodec.training.run.options import says_method, short_name, short_value

LONGEST = 80  # characters of the options in a name: W&B takes names of 128
UNREADABLE = r"[\"'\\$]"  # characters that only Hydra needs


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
    """``name`` as a part of the name of one folder: a slash in it would make folders within each other, and a path with
    characters such as = and [ cannot be given to Hydra as ``resume=PATH``."""
    return re.sub(r"[^\w .+@%:-]", "-", str(name))


def swept(*told: str) -> str:
    """The end of the name of a sweep's job: the options that the sweep changes, as in ``-seed=1-optimizer.lr=0.01``,
    without those that the name has ``told`` before. Where this is longer than LONGEST characters, it is the number of
    the job. The name of a run by itself has no such end."""
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return ""
    same = {*told, *hydra.job.config.override_dirname.exclude_keys}
    text = ""
    for override in cast(list[str], OmegaConf.to_container(hydra.overrides.task)):  # no value is resolved
        name, _, value = override.partition("=")
        name = name.lstrip("+").partition("@")[0]
        if name not in same and says_method(name):
            text += f"-{short_name(name)}={short_value(re.sub(UNREADABLE, '', value))}"
    return text if len(text) <= LONGEST else f"-{hydra.job.num}"


OmegaConf.register_new_resolver("in_path", in_path, replace=True)
OmegaConf.register_new_resolver("swept", swept, replace=True)
OmegaConf.register_new_resolver("choices", choices, replace=True)
OmegaConf.register_new_resolver("either", lambda first, second: first or second, replace=True)
OmegaConf.register_new_resolver("gpus", gpus, replace=True)
OmegaConf.register_new_resolver("cores", cores, replace=True)
OmegaConf.register_new_resolver("environment", environment, replace=True)

# The presets in hydra/launcher have the names of Hydra's plugins. Hydra checks them against the plugins' options,
# and warns that it will not do so for ever.
warnings.filterwarnings("ignore", message="(?s).*automatic_schema_matching")
