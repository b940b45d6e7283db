"""The shape of a network: every option that fixes it, and the checks of these options."""

import dataclasses
import math
from collections.abc import Iterable
from typing import ClassVar

from rnncodec.binarizer import BINARIZERS
from rnncodec.cells import CELLS
from rnncodec.config import Config
from rnncodec.errors import ConfigurationError
from rnncodec.reconstruction import RECONSTRUCTIONS

MOST_CHANNELS = 65_536  # of a layer: more is a slip of the keyboard, and would not fit into memory


@dataclasses.dataclass(frozen=True)
class CodecConfig(Config):
    """Everything that fixes a network's shape and meaning; it travels in the metadata of a weights file.

    The channel lists are those of the paper at ``width = 1``; each is multiplied by ``width`` and rounded to a multiple
    of four. ``encoder_channels``: the first convolution, then the cells. ``decoder_channels``: the first convolution,
    then the cells, each before its depth-to-space. ``priming`` and ``diffusion``: runs of encoder and decoder for the
    sake of their states alone, before those of the first iteration and of each later one (Johnston et al. 2018).

    Raises:
        ConfigurationError: a value is not one of those allowed, or the lists do not fit together.
    """

    group: ClassVar[str] = "model"
    encoder_cell: str = "residual_gru"
    decoder_cell: str = "residual_gru"
    encoder_channels: tuple[int, ...] = (64, 256, 512, 512)
    decoder_channels: tuple[int, ...] = (512, 512, 512, 256, 128)
    encoder_hidden_kernels: tuple[int, ...] = (1, 1, 1)
    decoder_hidden_kernels: tuple[int, ...] = (1, 1, 3, 3)
    width: float = 1.0
    bits: int = 32
    binarizer: str = "deterministic"
    reconstruction: str = "additive"
    residual_normalization: bool = True
    priming: int = 0
    diffusion: int = 0

    def __post_init__(self) -> None:
        for name, choices in (
            ("encoder_cell", CELLS),
            ("decoder_cell", CELLS),
            ("binarizer", BINARIZERS),
            ("reconstruction", RECONSTRUCTIONS),
        ):
            if getattr(self, name) not in choices:
                raise ConfigurationError(f"unknown {name} '{getattr(self, name)}'; choose from {', '.join(choices)}")
        for name, length in (
            ("encoder_channels", 4),
            ("decoder_channels", 5),
            ("encoder_hidden_kernels", 3),
            ("decoder_hidden_kernels", 4),
        ):
            given = getattr(self, name)
            values = tuple(given) if isinstance(given, Iterable) else ()
            if len(values) != length or not all(isinstance(value, int) and value >= 1 for value in values):
                raise ConfigurationError(f"{name} needs a list of {length} positive whole numbers, not {given}")
            if name.endswith("kernels") and any(kernel % 2 == 0 for kernel in values):
                raise ConfigurationError(f"{name} must be odd, so that the state keeps its size, not {given}")
            object.__setattr__(self, name, values)
        if not (isinstance(self.width, int | float) and 0 < self.width < math.inf):
            raise ConfigurationError(f"width must be positive, not {self.width}")
        if not (isinstance(self.bits, int) and 1 <= self.bits <= 255):
            raise ConfigurationError(f"bits (per position and iteration) must be from 1 to 255, not {self.bits}")
        for name in ("priming", "diffusion"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ConfigurationError(f"{name} (extra runs) must be a whole number of at least 0, not {value}")

    def channels(self, paper: tuple[int, ...]) -> list[int]:
        """``paper``'s channels at this width, as multiples of four (depth-to-space divides by four)."""
        return [max(4, 4 * round(channels * self.width / 4)) for channels in paper]
