"""The network: encoder, decoder, and the loop r → E → B → D → x̂ → r (Toderici et al. 2017, equations 1 to 3)."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnncodec.binarizer import BINARIZERS
from rnncodec.cells import CELLS
from rnncodec.config import Config
from rnncodec.errors import ConfigurationError
from rnncodec.reconstruction import RECONSTRUCTIONS
from rnncodec.residual_normalization import ResidualNormalization, Unnormalized

if TYPE_CHECKING:
    from rnncodec.entropy.contract import Context

STRIDE = 16  # pixels on a side of the block that one position of the codes stands for


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


class Encoder(nn.Module):
    """Residual to features: ``[B, 3, H, W] -> [B, C, H / 16, W / 16]``; a convolution, then three cells of stride 2."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        cell = CELLS[config.encoder_cell]
        channels = config.channels(config.encoder_channels)
        self.conv = nn.Conv2d(3, channels[0], kernel_size=3, stride=2, padding=1)
        self.cells = nn.ModuleList(
            cell(inputs, outputs, kernel=3, stride=2, hidden_kernel=hidden_kernel)
            for inputs, outputs, hidden_kernel in zip(
                channels[:-1], channels[1:], config.encoder_hidden_kernels, strict=True
            )
        )
        self.out_channels = channels[-1]

    def forward(self, x: Tensor, states: list[Any] | None) -> tuple[Tensor, list[Any]]:
        x = self.conv(x)
        new_states = []
        for cell, state in zip(self.cells, states or [None] * len(self.cells), strict=True):
            x, state = cell(x, state)
            new_states.append(state)
        return x, new_states


class Decoder(nn.Module):
    """Codes to pixels: ``[B, bits, h, w] -> [B, 3, 16 h, 16 w]``; four cells, each followed by depth-to-space.

    The paper ends with a tanh; with residuals of any scale its bound is of no use, and it is left out.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        cell = CELLS[config.decoder_cell]
        channels = config.channels(config.decoder_channels)
        inputs = [channels[0], *(outputs // 4 for outputs in channels[1:])]
        self.conv = nn.Conv2d(config.bits, channels[0], kernel_size=1)
        self.cells = nn.ModuleList(
            cell(inputs, outputs, kernel=3, stride=1, hidden_kernel=hidden_kernel)
            for inputs, outputs, hidden_kernel in zip(
                inputs[:-1], channels[1:], config.decoder_hidden_kernels, strict=True
            )
        )
        self.output = nn.Conv2d(inputs[-1], 3, kernel_size=1)

    def forward(self, codes: Tensor, states: list[Any] | None) -> tuple[Tensor, list[Any]]:
        x = self.conv(codes)
        new_states = []
        for cell, state in zip(self.cells, states or [None] * len(self.cells), strict=True):
            x, state = cell(x, state)
            x = functional.pixel_shuffle(x, 2)
            new_states.append(state)
        return self.output(x), new_states


class IterativeCodec(nn.Module):
    """One network, run any number of times: each iteration codes what the ones before it left over.

    Images are float in [0, 1], ``[B, 3, H, W]`` with H and W multiples of 16. Inside they are shifted by ½, so that the
    reconstruction before the first iteration, x̂_0 = 0, is mid-grey.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.training_info: dict[str, Any] = {}  # how its weights came to be, where they come from a file
        self.context: Context | None = None  # the context model of its codes, where their file holds one
        self.encoder = Encoder(config)
        self.binarizer = BINARIZERS[config.binarizer](self.encoder.out_channels, config.bits)
        self.decoder = Decoder(config)
        self.reconstruction = RECONSTRUCTIONS[config.reconstruction]()
        self.normalization = ResidualNormalization() if config.residual_normalization else Unnormalized()

    def iterate(self, images: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The loop. Yields, for t = 1, 2, … without end, the codes b_t in {-1, +1} ``[B, bits, H / 16, W / 16]`` and
        the reconstruction x̂_t ``[B, 3, H, W]``; stop when you have enough.

        Raises:
            ValueError: H or W is no multiple of 16.
        """
        if images.shape[-2] % STRIDE or images.shape[-1] % STRIDE:
            raise ValueError(f"height and width must be multiples of {STRIDE}, not {tuple(images.shape[-2:])}")
        target = images - 0.5
        scales = self.normalization.scales()
        encoder_states = decoder_states = None
        reconstruction, residual = torch.zeros_like(target), target
        for t in count():
            gain, extra = self.gain(reconstruction, t, scales), self.extra_runs(t)
            codes, encoder_states = self.encode_step(residual * gain, encoder_states, extra)
            reconstruction, decoder_states = self.decode_step(codes, reconstruction, gain, decoder_states, extra)
            residual = target - reconstruction
            yield codes, reconstruction + 0.5

    def gain(self, reconstruction: Tensor, t: int, scales: Tensor) -> Tensor:
        """What multiplies the residual before it is encoded, and divides the decoder's output (additive frameworks)."""
        return self.reconstruction.gain(reconstruction, first=t == 0) / scales[min(t, len(scales) - 1)]

    def extra_runs(self, t: int) -> int:
        """How often the encoder and the decoder each run on iteration t's input before the run that counts: their
        states spread in space, and nothing is written."""
        return self.config.priming if t == 0 else self.config.diffusion

    def encode_step(self, residual: Tensor, states: list[Any] | None, extra: int) -> tuple[Tensor, list[Any]]:
        """``b_t = B(E_t(r_{t-1}))`` and the encoder's new states."""
        for _ in range(extra):
            _, states = self.encoder(residual, states)
        features, states = self.encoder(residual, states)
        return self.binarizer(features), states

    def decode_step(
        self, codes: Tensor, previous: Tensor, gain: Tensor, states: list[Any] | None, extra: int
    ) -> tuple[Tensor, list[Any]]:
        """``x̂_t`` from ``b_t`` and ``x̂_{t-1}``, and the decoder's new states."""
        # In one memory layout whatever came before, so that encoder and decoder run the same kernels on the same bits.
        codes = codes.clone(memory_format=torch.contiguous_format)
        for _ in range(extra):
            _, states = self.decoder(codes, states)
        decoded, states = self.decoder(codes, states)
        return self.reconstruction(decoded, previous, gain), states

    def forward(self, images: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        """The codes ``[T, B, bits, H / 16, W / 16]`` and the reconstructions ``[T, B, 3, H, W]`` of images
        ``[B, 3, H, W]``, with gradients; and, in training, learns the scales."""
        codes, reconstructions = map(torch.stack, zip(*islice(self.iterate(images), iterations), strict=True))
        if self.training:
            before = torch.cat([torch.full_like(images, 0.5)[None], reconstructions[:-1]])
            self.normalization.update(images - before)
        return codes, reconstructions

    @torch.inference_mode()
    def encode(self, images: Tensor, iterations: int) -> Tensor:
        """The codes ``[T, B, bits, H / 16, W / 16]``, int8 in {-1, +1}, of images ``[B, 3, H, W]``."""
        return torch.stack([codes.to(torch.int8) for codes, _ in islice(self.iterate(images), iterations)])

    @torch.inference_mode()
    def decode(self, layers: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yields x̂_t ``[B, 3, H, W]`` for the codes of each iteration ``[B, bits, h, w]`` in turn: on the same machine,
        bit for bit what `iterate` yielded."""
        scales, states = self.normalization.scales(), None
        for t, codes in enumerate(layers):
            codes = codes.to(scales.dtype)
            if t == 0:
                batch, _, height, width = codes.shape
                reconstruction = codes.new_zeros((batch, 3, STRIDE * height, STRIDE * width))
            gain, extra = self.gain(reconstruction, t, scales), self.extra_runs(t)
            reconstruction, states = self.decode_step(codes, reconstruction, gain, states, extra)
            yield reconstruction + 0.5
