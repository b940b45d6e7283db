"""Configs: what fixes a network's shape, as frozen dataclasses. Needs no torch."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from rnncodec.errors import ConfigurationError

C = TypeVar("C", bound="Config")


@dataclasses.dataclass(frozen=True)
class Config:
    """The base of configs. ``group``: where in ``conf/`` its options stand."""

    group: ClassVar[str]

    @classmethod
    def from_mapping(cls: type[C], values: Mapping[str, Any]) -> C:
        """From a mapping as it stands in a config or a weights file; unknown keys are a ConfigurationError."""
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ConfigurationError(f"unknown {cls.group} options: {', '.join(sorted(unknown))}")
        return cls(**values)
