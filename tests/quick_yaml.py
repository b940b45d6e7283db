"""OmegaConf reads YAML by libyaml while the tests run. They read hundreds of configurations, each in many files.

The values are the same; only the parser is written in C.
"""

from types import SimpleNamespace

import yaml
from omegaconf import _utils

_utils.yaml = SimpleNamespace(**vars(yaml) | {"SafeLoader": yaml.CSafeLoader})  # type: ignore[attr-defined]
