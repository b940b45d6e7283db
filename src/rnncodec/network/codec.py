"""The network: encoder, decoder, and the loop r → E → B → D → x̂ → r (Toderici et al. 2017, equations 1 to 3)."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import count, islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.network.binarizer import BINARIZERS
from rnncodec.network.cells import cell_named
from rnncodec.network.config import CodecConfig
from rnncodec.network.linear_path import LinearPath
from rnncodec.network.projection import Projection
from rnncodec.network.reconstruction import RECONSTRUCTIONS
from rnncodec.network.residual_normalization import ResidualNormalization, Unnormalized


class State(NamedTuple):
    """What one iteration leaves to the next: the reconstruction ``[B, 3, H, W]``, shifted by -½, and the states of the
    encoder and of the decoder."""

    reconstruction: Tensor
    encoder: list[Any] | None = None
    decoder: list[Any] | None = None


Decode = Callable[[Tensor], State]
Search = Callable[[Tensor, Decode], Tensor]


class Encoder(nn.Module):
    """Residual to features: ``[B, 3, H, W] -> [B, C, H / 16, W / 16]``; a convolution, then cells of stride 2.

    In the paper there are three cells, and the convolution has stride 2. With fewer cells it has a larger stride: the
    pixels are folded into channels first.

    With a ``linear_path`` the residual itself follows behind the features, each 16×16 block of it as 768 channels.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        cell = cell_named(config.encoder_cell, config.copies)
        channels = config.channels(config.encoder_channels)
        stride = STRIDE >> len(config.encoder_hidden_kernels)
        self.fold = max(1, stride // 2)
        self.conv = nn.Conv2d(3 * self.fold**2, channels[0], kernel_size=3, stride=stride // self.fold, padding=1)
        self.cells = nn.ModuleList(
            cell(inputs, outputs, kernel=3, stride=2, hidden_kernel=hidden_kernel)
            for inputs, outputs, hidden_kernel in zip(
                channels[:-1], channels[1:], config.encoder_hidden_kernels, strict=True
            )
        )
        self.linear_path = config.linear_path
        self.out_channels = channels[-1] + (3 * STRIDE**2 if config.linear_path else 0)

    def forward(self, x: Tensor, states: list[Any] | None) -> tuple[Tensor, list[Any]]:
        residual = x.to(self.conv.weight.dtype)
        x = self.conv(functional.pixel_unshuffle(residual, self.fold))
        new_states = []
        for cell, state in zip(self.cells, states or [None] * len(self.cells), strict=True):
            x, state = cell(x, state)
            new_states.append(state)
        if self.linear_path:
            x = torch.cat([x, functional.pixel_unshuffle(residual, STRIDE)], dim=1)
        return x, new_states


class Decoder(nn.Module):
    """Codes to pixels: ``[B, bits, h, w] -> [B, 3, 16 h, 16 w]``; cells, each followed by depth-to-space, then a
    convolution.

    In the paper there are four cells, and the convolution is 1×1. With fewer cells it is 3×3, and depth-to-space
    unfolds its output to pixels. The paper ends with a tanh. It is left out here, because residuals divided by their
    scale can exceed ±1.

    With a ``linear_path`` the output of a `LinearPath` is added, whose features are those of the first cell.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        cell = cell_named(config.decoder_cell, config.copies)
        channels = config.channels(config.decoder_channels)
        inputs = [channels[0], *(outputs // 4 for outputs in channels[1:])]
        self.conv = Projection(config.bits, channels[0], config.projections)
        self.cells = nn.ModuleList(
            cell(inputs, outputs, kernel=3, stride=1, hidden_kernel=hidden_kernel)
            for inputs, outputs, hidden_kernel in zip(
                inputs[:-1], channels[1:], config.decoder_hidden_kernels, strict=True
            )
        )
        self.fold = STRIDE >> len(self.cells)
        kernel = 1 if self.fold == 1 else 3
        self.output = nn.Conv2d(inputs[-1], 3 * self.fold**2, kernel, padding=kernel // 2)
        self.linear_path = (
            LinearPath(config.bits, channels[1], STRIDE, config.projections) if config.linear_path else None
        )

    def forward(self, codes: Tensor, states: list[Any] | None, t: int) -> tuple[Tensor, list[Any]]:
        x = self.conv(codes, t)
        outputs, new_states = [], []
        for cell, state in zip(self.cells, states or [None] * len(self.cells), strict=True):
            x, state = cell(x, state)
            outputs.append(x)
            x = functional.pixel_shuffle(x, 2)
            new_states.append(state)
        pixels = functional.pixel_shuffle(self.output(x.to(self.output.weight.dtype)), self.fold)
        if self.linear_path is not None:
            pixels = pixels + self.linear_path(codes, outputs[0], t)
        return pixels, new_states


class IterativeCodec(nn.Module):
    """One network, run any number of times. Each iteration codes the residual that the iterations before it left.

        r_0 = x,  x̂_0 = 0
        b_t = B(E_t(g_{t-1} / s_{t-1} ⊙ r_{t-1}))
        x̂_t = γ x̂_{t-1} + D_t(b_t) ⊘ (g_{t-1} / s_{t-1})
        r_t = x - x̂_t

    γ and the gain g belong to the framework (`rnncodec.network.reconstruction`), the scale s to
    `rnncodec.network.residual_normalization`; in the paper s = 1. E_t and D_t carry their states from one t to
    the next.

    Images are float in [0, 1], ``[B, 3, H, W]`` with H and W multiples of 16. Inside they are shifted by -½, so that
    x̂_0 = 0 is mid-grey. Codes are packed and range-coded elsewhere (`rnncodec.coding.torch_codec`).
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.training_info: dict[str, Any] = {}  # how the weights were trained, if they come from a file
        self.context: Any = None  # the context model of its codes (`rnncodec.entropy.interface`), if their file has one
        self.encoder = Encoder(config)
        self.binarizer = BINARIZERS[config.binarizer](self.encoder.out_channels, config.bits, config.projections)
        self.decoder = Decoder(config)
        self.reconstruction = RECONSTRUCTIONS[config.reconstruction]()
        self.normalization = ResidualNormalization() if config.residual_normalization else Unnormalized()

    def iterate(self, images: Tensor, search: Search | None = None) -> Iterator[tuple[Tensor, Callable[[], Tensor]]]:
        """The loop. Yields, for t = 1, 2, … without end, the codes b_t in {-1, +1} ``[B, bits, H / 16, W / 16]`` and a
        function that returns the reconstruction x̂_t ``[B, 3, H, W]``. Stop when you have enough.

        The decoder runs only when x̂_t is asked for, or when the next iteration needs it. So it does not run after the
        last iteration if nobody looks at the reconstruction.

        If there is a ``search``, it chooses the codes, from what `iteration` returns.

        Raises:
            ValueError: H or W is not a multiple of 16.
        """
        if images.shape[-2] % STRIDE or images.shape[-1] % STRIDE:
            raise ValueError(f"height and width must be multiples of {STRIDE}, not {tuple(images.shape[-2:])}")
        state = State(torch.zeros_like(images))
        for t in count():
            activations, decode = self.iteration(images, state, t)
            codes = self.binarizer(activations) if search is None else search(activations, decode)
            after = cache(partial(decode, codes))
            yield codes, partial(_picture, after)
            state = after()

    def iteration(self, images: Tensor, state: State, t: int) -> tuple[Tensor, Decode]:
        """Iteration t (the first is 0) after ``state``: the activations of the binarizer, and a function from codes to
        the state that they lead to."""
        residual = images - 0.5 - state.reconstruction
        amplification = self.amplification(state.reconstruction, t, self.normalization.scales())
        activations, encoder = self.encode_step(residual * amplification, state.encoder, t)

        def decode(codes: Tensor) -> State:
            reconstruction, decoder = self.decode_step(codes, state.reconstruction, amplification, state.decoder, t)
            return State(reconstruction, encoder, decoder)

        return activations, decode

    def amplification(self, reconstruction: Tensor, t: int, scales: Tensor) -> Tensor:
        """``g_t / s_t``: the gain of the reconstruction framework over the scale of the residual. The residual is
        multiplied by it before it is encoded, and the decoder's output is divided by it (in additive frameworks)."""
        return self.reconstruction.gain(reconstruction, first=t == 0) / scales[min(t, len(scales) - 1)]

    def extra_runs(self, t: int) -> int:
        """How many extra times the encoder and the decoder run on the input of iteration t, before the run whose output
        is used (Johnston et al. 2018: priming for t = 0, diffusion for t > 0). These runs write no bits: they let the
        states spread in space."""
        return self.config.priming if t == 0 else self.config.diffusion

    def encode_step(self, residual: Tensor, states: list[Any] | None, t: int) -> tuple[Tensor, list[Any]]:
        """The activations ``[B, bits, h, w]`` of iteration t (the first is 0), whose signs are the codes, and the
        encoder's new states."""
        for _ in range(self.extra_runs(t)):
            _, states = self.encoder(residual, states)
        features, states = self.encoder(residual, states)
        return self.binarizer.project(features, t), states

    def decode_step(
        self, codes: Tensor, previous: Tensor, amplification: Tensor, states: list[Any] | None, t: int
    ) -> tuple[Tensor, list[Any]]:
        """The reconstruction after iteration t (the first is 0), from its codes and from the ``previous``
        reconstruction, and the decoder's new states."""
        # One memory layout, so that the torch_codec and the decoder run the same kernels and round alike.
        codes = codes.clone(memory_format=torch.contiguous_format)
        for _ in range(self.extra_runs(t)):
            _, states = self.decoder(codes, states, t)
        decoded, states = self.decoder(codes, states, t)
        return self.reconstruction(decoded, previous, amplification), states

    def forward(self, images: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        """The codes ``[T, B, bits, H / 16, W / 16]`` and the reconstructions ``[T, B, 3, H, W]`` of images
        ``[B, 3, H, W]``, with gradients. In training mode the scales of the residuals are updated."""
        steps = [(codes, picture()) for codes, picture in islice(self.iterate(images), iterations)]
        codes, reconstructions = map(torch.stack, zip(*steps, strict=True))
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
        """Yields the reconstruction x̂_t ``[B, 3, H, W]`` for the codes ``[B, bits, h, w]`` of each iteration in turn.
        On one machine it equals the x̂_t of `iterate` bit for bit."""
        scales, states = self.normalization.scales(), None
        for t, codes in enumerate(layers):
            codes = codes.to(scales.dtype)
            if t == 0:
                batch, _, height, width = codes.shape
                reconstruction = codes.new_zeros((batch, 3, STRIDE * height, STRIDE * width))
            amplification = self.amplification(reconstruction, t, scales)
            reconstruction, states = self.decode_step(codes, reconstruction, amplification, states, t)
            yield reconstruction + 0.5


def _picture(after: Callable[[], State]) -> Tensor:
    """x̂_t in [0, 1]."""
    return after().reconstruction + 0.5
