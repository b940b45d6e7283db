"""The shape of a network: every option that fixes it, and the checks of these options."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from torch import nn

from rnncodec.errors import ConfigurationError
from rnncodec.network.binarizer import BINARIZERS
from rnncodec.network.cells import CELLS
from rnncodec.network.options import MOST_RUNS, Config, is_real, is_whole
from rnncodec.network.parts import Part, checked, package
from rnncodec.network.reconstruction import RECONSTRUCTIONS

# Options that older weights files do not name, with the value that holds for these files. Today an option with this
# value is still left out of the file, so that the identity of such weights stays the same.
ADDED = {"priming": 0, "diffusion": 0, "projections": 1, "linear_path": False, "settled_psnr": None}

PARTS: dict[str, Mapping[str, type[nn.Module]]] = {  # the options that name a part, and the parts of rnncodec
    "encoder_cell": CELLS,
    "decoder_cell": CELLS,
    "binarizer": BINARIZERS,
    "reconstruction": RECONSTRUCTIONS,
}

MOST_CELLS = 4  # of the encoder, and of the decoder: each is a factor of two between the pixels and the codes
MOST_CHANNELS = 4096  # of a layer; more would not fit into memory
MOST_LISTED = 2**16  # in a list of channels, before they are multiplied by the width
MOST_KERNEL = 31
MOST_PROJECTIONS = 64
MOST_PSNR = 100  # dB; above it no block of 8-bit pixels differs


@dataclasses.dataclass(frozen=True)
class CodecConfig(Config):
    """Everything that fixes a network's shape and meaning. It travels in the metadata of a weights file.

    The default values are those of ``conf/model`` with ``model=gru reconstruction=additive``: a quarter of the paper's
    channels.

    Args:
        encoder_cell, decoder_cell: names in ``rnncodec.network.cells.CELLS``, or parts with options or of another
            package; see `rnncodec.network.parts`.
        encoder_channels: output channels at ``width = 1``, of the first convolution, then of each cell. The convolution
            leads to the grid from which cells of stride 2 go on to 1/16.
        decoder_channels: the same for the decoder; the output of a cell is counted before its depth-to-space. The last
            convolution leads from the grid after the last cell to the pixels.
        encoder_hidden_kernels, decoder_hidden_kernels: for each cell, the size of the kernel on its hidden state.
        width: each number of channels is multiplied by it and rounded to a multiple of four.
        bits: binary codes for each 16×16 block and iteration.
        binarizer: a name in ``rnncodec.network.binarizer.BINARIZERS``, ``deterministic`` or ``stochastic``, or a part
            of another package.
        reconstruction: a name in ``rnncodec.network.reconstruction.RECONSTRUCTIONS``, or a part of another package.
        residual_normalization: divide the residual by its running RMS before it is encoded; see
            `rnncodec.network.residual_normalization`.
        priming, diffusion: extra runs of the encoder and the decoder before the first iteration, and before each later
            one. They write no bits (Johnston et al. 2018).
        projections: the number of iterations that have a projection of their own to the bits and from the bits; see
            `rnncodec.network.projection`.
        linear_path: give each position a linear path from its 16×16 block of the residual to its bits, and from its
            bits to this block of the reconstruction. Without it all iterations see the residual through the same
            features of the encoder, far fewer than the block has values, and what these leave out is never coded.
        settled_psnr: the PSNR in dB from which on a 16×16 block sends no more bits: all of its bits are +1, which costs
            next to nothing once a context model has learned it. Where the block gets worse again, it goes on. None
            lets all blocks send bits in all iterations.

    Raises:
        ConfigurationError: a value is not one of those allowed, or the lists do not fit together.
    """

    group: ClassVar[str] = "model"
    encoder_cell: Part = dataclasses.field(default="gru", hash=False)
    decoder_cell: Part = dataclasses.field(default="gru", hash=False)
    encoder_channels: tuple[int, ...] = (64, 256, 512, 512)
    decoder_channels: tuple[int, ...] = (512, 512, 512, 256, 128)
    encoder_hidden_kernels: tuple[int, ...] = (1, 1, 1)
    decoder_hidden_kernels: tuple[int, ...] = (1, 1, 3, 3)
    width: float = 0.25
    bits: int = 32
    binarizer: Part = dataclasses.field(default="deterministic", hash=False)
    reconstruction: Part = dataclasses.field(default="additive", hash=False)
    residual_normalization: bool = True
    priming: int = 0
    diffusion: int = 0
    projections: int = 1
    linear_path: bool = False
    settled_psnr: float | None = None

    def __post_init__(self) -> None:
        for name, own in PARTS.items():
            object.__setattr__(self, name, checked(name, getattr(self, name), own))
        for part in ("encoder", "decoder"):
            cells = self._check_list(f"{part}_channels", 2, MOST_CELLS + 1) - 1
            self._check_list(f"{part}_hidden_kernels", cells, cells)
            if any(kernel % 2 == 0 for kernel in getattr(self, f"{part}_hidden_kernels")):
                raise ConfigurationError(f"{part}_hidden_kernels must be odd, so that the state keeps its size")
        if not (is_real(self.width, 0, MOST_CHANNELS) and self.width > 0):
            raise ConfigurationError(f"width must be positive, and at most {MOST_CHANNELS}, not {self.width}")
        if not is_whole(self.bits, 1, 255):
            raise ConfigurationError(f"bits (per position and iteration) must be from 1 to 255, not {self.bits}")
        for name, least, most in (
            ("priming", 0, MOST_RUNS),
            ("diffusion", 0, MOST_RUNS),
            ("projections", 1, MOST_PROJECTIONS),
        ):
            value = getattr(self, name)
            if not is_whole(value, least, most):
                raise ConfigurationError(f"{name} must be a whole number from {least} to {most}, not {value}")
        for name in ("residual_normalization", "linear_path"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name} must be true or false, not {getattr(self, name)}")
        settled = self.settled_psnr
        if settled is not None and not (is_real(settled, 0, MOST_PSNR) and settled > 0):
            raise ConfigurationError(f"settled_psnr must be null, or above 0 and at most {MOST_PSNR} dB, not {settled}")
        if settled is not None and self.reconstruction == "one_shot":
            raise ConfigurationError(
                "settled_psnr does not fit reconstruction=one_shot, whose iterations give all blocks anew; leave it "
                "out with settled_psnr=null"
            )
        largest = max(*self.channels(self.encoder_channels), *self.channels(self.decoder_channels))
        if largest > MOST_CHANNELS or max(self.encoder_hidden_kernels + self.decoder_hidden_kernels) > MOST_KERNEL:
            raise ConfigurationError(
                f"a layer of {largest} channels, or a kernel of the given size, is too large: the most are "
                f"{MOST_CHANNELS} channels and kernels of {MOST_KERNEL}; check width, channels and kernels"
            )

    def _check_list(self, name: str, least: int, most: int) -> int:
        """Make the option a tuple, and return its length."""
        given = getattr(self, name)
        values = tuple(given) if isinstance(given, Iterable) else ()
        if not (least <= len(values) <= most and all(is_whole(value, 1, MOST_LISTED) for value in values)):
            length = str(least) if least == most else f"{least} to {most}"
            raise ConfigurationError(
                f"{name} needs a list of {length} whole numbers from 1 to {MOST_LISTED}, not {given}"
            )
        object.__setattr__(self, name, values)
        return len(values)

    @classmethod
    def from_stored(cls, options: Mapping[str, Any]) -> "CodecConfig":
        """From the options in a weights file, in a result or in a run's config, of this version or of an older one.

        Raises:
            ConfigurationError: see `Config.from_mapping`.
        """
        return cls.from_mapping(from_older(ADDED | dict(options)))

    def channels(self, paper: tuple[int, ...]) -> list[int]:
        """``paper``'s channels at this width, as multiples of four (depth-to-space divides by four)."""
        return [max(4, 4 * round(channels * self.width / 4)) for channels in paper]

    @property
    def packages(self) -> list[str]:
        """The other packages that the parts of the network need."""
        found = (package(getattr(self, name)) for name in PARTS)
        return sorted({each for each in found if each is not None})


# Weights files, and the configs of older runs, have one option ``copies`` for all associative LSTMs.
OLDER_COPIES = 4
ASSOCIATIVE = "associative_lstm"


def from_older(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a network with ``copies`` where it belongs: in the cells that are associative LSTMs."""
    found = dict(options)
    copies = found.pop("copies", OLDER_COPIES)
    if copies != OLDER_COPIES:
        cells = [name for name in ("encoder_cell", "decoder_cell") if found.get(name) == ASSOCIATIVE]
        found |= {name: {"name": ASSOCIATIVE, "copies": copies} for name in cells}
    return found


def as_older(options: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `from_older`, so that the identity of weights stays the same. Two associative LSTMs with different
    ``copies``, which older versions could not have, stay as they are."""
    cells = {name: part for name, part in options.items() if name.endswith("_cell") and part_name(part) == ASSOCIATIVE}
    copies = {OLDER_COPIES if isinstance(part, str) else part["copies"] for part in cells.values()}
    if len(copies) != 1 or copies == {OLDER_COPIES}:
        return dict(options)
    return {**options, **dict.fromkeys(cells, ASSOCIATIVE), "copies": copies.pop()}


def part_name(part: Part) -> str | None:
    """The name of a part of rnncodec; None for one of another package."""
    return part if isinstance(part, str) else part.get("name")
