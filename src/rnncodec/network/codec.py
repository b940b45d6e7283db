"""The network: encoder, decoder, and the loop r → E → B → D → x̂ → r (Toderici et al. 2017, equations 1 to 3)."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.network.binarizer import BINARIZERS
from rnncodec.network.blocks import as_channels
from rnncodec.network.cells import CELLS
from rnncodec.network.config import CodecConfig
from rnncodec.network.linear_path import LinearPath
from rnncodec.network.parts import make
from rnncodec.network.projection import Projection, own_index
from rnncodec.network.reconstruction import RECONSTRUCTIONS
from rnncodec.network.residual_normalization import ResidualNormalization, Unnormalized
from rnncodec.network.settled import enlarged, sending, settled


class State(NamedTuple):
    """What the first t iterations leave to the next one.

    Args:
        t: their number.
        reconstruction: x̂_t, ``[B, 3, H, W]``, shifted by -½.
        amplification: by which the residual is multiplied before it is encoded, ``[]`` or ``[B, 1, H, W]``; see
            `IterativeCodec.amplification`.
        encoder, decoder: the states of the cells; None before the first iteration.
    """

    t: int
    reconstruction: Tensor
    amplification: Tensor
    encoder: list[Any] | None = None
    decoder: list[Any] | None = None

    @property
    def picture(self) -> Tensor:
        """x̂_t in [0, 1]; the values may lie a little outside."""
        return self.reconstruction + 0.5


class Encoder(nn.Module):
    """Residual to features: ``[B, 3, H, W] -> [B, C, H / 16, W / 16]``; a convolution, then cells of stride 2.

    In the paper there are three cells, and the convolution has stride 2. With fewer cells it has a larger stride: the
    pixels are folded into channels first.

    With a ``linear_path`` the residual itself follows behind the features, each 16×16 block of it as 768 channels.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        channels = config.channels(config.encoder_channels)
        stride = STRIDE >> len(config.encoder_hidden_kernels)
        self.conv: nn.Conv2d = FoldedConv(channels[0], max(1, stride // 2), min(stride, 2))
        self.cells = nn.ModuleList(
            make(config.encoder_cell, CELLS, inputs, outputs, kernel=3, stride=2, hidden_kernel=hidden_kernel)
            for inputs, outputs, hidden_kernel in zip(
                channels[:-1], channels[1:], config.encoder_hidden_kernels, strict=True
            )
        )
        self.linear_path = config.linear_path
        self.out_channels = channels[-1] + (3 * STRIDE**2 if config.linear_path else 0)

    def forward(self, x: Tensor, states: list[Any] | None) -> tuple[Tensor, list[Any]]:
        residual = x.to(self.conv.weight.dtype)
        x = self.conv(residual)
        new_states = []
        for cell, state in zip(self.cells, states or [None] * len(self.cells), strict=True):
            x, state = cell(x, state)
            new_states.append(state)
        if self.linear_path:
            x = torch.cat([x, as_channels(residual)], dim=1)
        return x, new_states


class FoldedConv(nn.Conv2d):
    """A 3×3 convolution of pixels, ``fold`` × ``fold`` of which are folded into channels first: ``[B, 3, H, W] ->
    [B, C, H / (fold · stride), W / (fold · stride)]``."""

    def __init__(self, channels: int, fold: int, stride: int) -> None:
        super().__init__(3 * fold**2, channels, kernel_size=3, stride=stride, padding=1)
        self.fold = fold

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.pixel_unshuffle(x, self.fold))


class Features(NamedTuple):
    """What depth-to-space and the last convolution of the decoder turn into pixels.

    Args:
        cells: the output of the last cell, ``[B, C, 8 h / fold, 8 w / fold]``.
        amplitudes: those of the patterns, ``[B, bits, h, w]``; None where there is no linear path.
        sent: 1 where a block sends bits, else 0, ``[B, 1, h, w]``, where cells and amplitudes are 0 too; None where all
            blocks do (`rnncodec.network.settled`).
    """

    cells: Tensor
    amplitudes: Tensor | None
    sent: Tensor | None


class Decoder(nn.Module):
    """Codes to features, and these to pixels: ``[B, bits, h, w] -> [B, 3, 16 h, 16 w]``; cells, each followed by
    depth-to-space, then a convolution.

    In the paper there are four cells, and the convolution is 1×1. With fewer cells it is 3×3, and depth-to-space
    unfolds its output to pixels. The paper ends with a tanh. It is left out here, because residuals divided by their
    scale can exceed ±1.

    With a ``linear_path`` the output of a `LinearPath` is added, whose features are those of the first cell.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        channels = config.channels(config.decoder_channels)
        inputs = [channels[0], *(outputs // 4 for outputs in channels[1:])]
        self.conv = Projection(config.bits, channels[0], config.projections)
        self.cells = nn.ModuleList(
            make(config.decoder_cell, CELLS, inputs, outputs, kernel=3, stride=1, hidden_kernel=hidden_kernel)
            for inputs, outputs, hidden_kernel in zip(
                inputs[:-1], channels[1:], config.decoder_hidden_kernels, strict=True
            )
        )
        self.settles = config.settled_psnr is not None
        self.fold = STRIDE >> len(self.cells)
        kernel = 1 if self.fold == 1 else 3
        self.output = WeightedBias(inputs[-1], 3 * self.fold**2, kernel, padding=kernel // 2)
        self.linear_path = (
            LinearPath(config.bits, channels[1], STRIDE, config.projections) if config.linear_path else None
        )

    def forward(self, codes: Tensor, states: list[Any] | None, t: int | Tensor) -> tuple[Features, list[Any]]:
        x = self.conv(codes, t)
        outputs: list[Tensor] = []
        new_states = []
        for cell, state in zip(self.cells, states or [None] * len(self.cells), strict=True):
            x, state = cell(functional.pixel_shuffle(x, 2) if outputs else x, state)
            outputs.append(x)
            new_states.append(state)
        amplitudes = None if self.linear_path is None else self.linear_path(codes, outputs[0], t)
        if not self.settles:
            return Features(x, amplitudes, None), new_states
        sent = sending(codes)
        x = x * enlarged(sent, STRIDE // self.fold // 2)
        return Features(x, None if amplitudes is None else amplitudes * sent, sent), new_states

    def pixels(self, features: Features, t: int | Tensor) -> Tensor:
        """The output ``[B, 3, 16 h, 16 w]`` in iteration t. It is a linear function of the features."""
        pixels = self.unfold(features.cells, 1.0 if features.sent is None else features.sent)
        if self.linear_path is None:
            return pixels
        return pixels + functional.pixel_shuffle(self.blocks(features, t), STRIDE)

    def blocks(self, features: Features, t: int | Tensor) -> Tensor:
        """The output of the linear path in iteration t, ``[B, 3 · 16², h, w]``."""
        assert self.linear_path is not None
        blocks = self.linear_path.patterns(features.amplitudes, t)
        return blocks if features.sent is None else blocks * features.sent

    def unfold(self, cells: Tensor, weight: Tensor | float) -> Tensor:
        """The output of the last cell to pixels ``[B, 3, 16 h, 16 w]``. The bias counts ``weight`` times, a number, or
        one for each block ``[B, 1, h, w]``."""
        maps = functional.pixel_shuffle(cells, 2).to(self.output.weight.dtype)
        if isinstance(weight, Tensor) and weight.ndim:
            weight = enlarged(weight, STRIDE // self.fold)
        return functional.pixel_shuffle(self.output(maps, weight), self.fold)


class WeightedBias(nn.Conv2d):
    """A convolution ``K ∗ x + weight · bias``. The weight is a number, or one for each position ``[B, 1, H, W]``. With
    the weight ``Σ_t w_t``, the input ``Σ_t w_t x_t`` gives ``Σ_t w_t (K ∗ x_t + bias)``."""

    def forward(self, x: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        assert self.bias is not None
        if isinstance(weight, Tensor) and weight.ndim:
            return functional.conv2d(x, self.weight, padding=self.padding) + weight * self.bias[:, None, None]
        return functional.conv2d(x, self.weight, weight * self.bias, padding=self.padding)


class IterativeCodec(nn.Module):
    """One network, run any number of times. Each iteration codes the residual that the iterations before it left.

        r_0 = x,  x̂_0 = 0
        b_t = B(E_t(a_{t-1} ⊙ r_{t-1})),  a_t = g_t / s_t
        x̂_t = x̂_{t-1} + D_t(b_t) ⊘ a_{t-1}      (additive)
        x̂_t = D_t(b_t)                          (one-shot)
        r_t = x - x̂_t

    The gain g belongs to the framework (`rnncodec.network.reconstruction`), the scale s to
    `rnncodec.network.residual_normalization`; in the paper s = 1. E_t and D_t carry their states from one t to
    the next.

    Images are float in [0, 1], ``[B, 3, H, W]`` with H and W multiples of 16. Inside they are shifted by -½, so that
    x̂_0 = 0 is mid-grey. Codes are packed and range-coded elsewhere (`rnncodec.entropy.layer_coder`).
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.training_info: dict[str, Any] = {}  # how the weights were trained, if they come from a file
        self.context: Any = None  # the context model of its codes (`rnncodec.entropy.interface`), if their file has one
        self.encoder = Encoder(config)
        self.binarizer = make(config.binarizer, BINARIZERS, self.encoder.out_channels, config.bits, config.projections)
        self.decoder = Decoder(config)
        self.reconstruction = make(config.reconstruction, RECONSTRUCTIONS)
        self.normalization = ResidualNormalization() if config.residual_normalization else Unnormalized()

    @property
    def trained_iterations(self) -> int:
        """The number of iterations that the weights were trained for; 16 if they do not say."""
        return int(self.training_info.get("iterations", 16))

    def iterate(self, images: Tensor, iterations: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The loop r → E → B → D → x̂ → r. Yields the codes b_t in {-1, +1} ``[B, bits, H / 16, W / 16]`` and the
        reconstruction x̂_t ``[B, 3, H, W]`` of each iteration t = 1, 2, ….

        Raises:
            ValueError: H or W is not a multiple of 16.
        """
        state = self.start(torch.zeros_like(images))
        for _ in range(iterations):
            activations, state = self.encode_step(images, state)  # r_{t-1} → E_t
            codes = self.binarizer(activations)  # B
            state = self.decode_step(codes, state)  # D_t → x̂_t
            yield codes, state.picture

    def start(self, blank: Tensor) -> State:
        """The state before the first iteration, for pictures of the shape of ``blank`` ``[B, 3, H, W]``, which is 0
        everywhere.

        Raises:
            ValueError: H or W is not a multiple of 16.
        """
        if blank.shape[-2] % STRIDE or blank.shape[-1] % STRIDE:
            raise ValueError(f"height and width must be multiples of {STRIDE}, not {tuple(blank.shape[-2:])}")
        return State(0, blank, self.amplification(blank, 0))

    def encode_step(self, images: Tensor, state: State) -> tuple[Tensor, State]:
        """The activations ``[B, bits, h, w]`` of the iteration after ``state``, whose signs are the codes, and
        ``state`` with the encoder's new states."""
        residual = images - 0.5 - state.reconstruction
        amplified = residual * state.amplification
        encoder = state.encoder
        for _ in range(self.extra_runs(state.t)):
            _, encoder = self.encoder(amplified, encoder)
        features, encoder = self.encoder(amplified, encoder)
        return self.activations(features, residual, state.t), state._replace(encoder=encoder)

    def activations(self, features: Tensor, residual: Tensor, t: int | Tensor) -> Tensor:
        """The activations ``[B, bits, h, w]`` in iteration t, the first of which is 0, from the encoder's features and
        the residual r_t ``[B, 3, H, W]``. In `settled` blocks all are +1."""
        activations = self.binarizer.project(features, t)
        if self.config.settled_psnr is None:
            return activations
        return torch.where(settled(residual, self.config.settled_psnr, t), 1.0, activations)

    def decode_step(self, codes: Tensor, state: State) -> State:
        """The state after the iteration of these ``codes`` ``[B, bits, h, w]``."""
        features, decoder = self.decode_features(codes, state.decoder, state.t)
        decoded = self.decoder.pixels(features, state.t)
        reconstruction = self.reconstruction(decoded, state.reconstruction, state.amplification)
        amplification = self.amplification(reconstruction, state.t + 1)
        return State(state.t + 1, reconstruction, amplification, state.encoder, decoder)

    def decode_features(self, codes: Tensor, states: list[Any] | None, t: int) -> tuple[Features, list[Any]]:
        """What the decoder makes of these ``codes`` ``[B, bits, h, w]`` in iteration t before it gives pixels, and its
        new states."""
        # One memory layout, so that the encoder's computer and the decoder's run the same kernels and round alike.
        codes = codes.clone(memory_format=torch.contiguous_format)
        for _ in range(self.extra_runs(t)):
            _, states = self.decoder(codes, states, t)
        features, states = self.decoder(codes, states, t)
        return features, states

    def amplification(self, reconstruction: Tensor, t: int | Tensor) -> Tensor:
        """``g_t / s_t``: the gain of the reconstruction framework over the scale of the residual. The residual is
        multiplied by it before it is encoded, and the decoder's output is divided by it (in additive frameworks)."""
        scales = self.normalization.scales()
        return self.reconstruction.gain(reconstruction, t) / scales[own_index(t, len(scales))]

    def extra_runs(self, t: int) -> int:
        """How many extra times the encoder and the decoder run on the input of iteration t, before the run whose output
        is used (Johnston et al. 2018: priming for t = 0, diffusion for t > 0). These runs write no bits: they let the
        states spread in space."""
        return self.config.priming if t == 0 else self.config.diffusion

    def forward(self, images: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        """The codes ``[T, B, bits, H / 16, W / 16]`` and the reconstructions ``[T, B, 3, H, W]`` of images
        ``[B, 3, H, W]``, with gradients. In training mode the scales of the residuals are updated, unless the
        encoder is frozen.

        Raises:
            ValueError: H or W is not a multiple of 16; or in training, with residual normalization, there are more
                than 64 iterations.
        """
        codes, reconstructions = map(torch.stack, zip(*self.iterate(images, iterations), strict=True))
        if self.training and next(self.encoder.parameters()).requires_grad:  # a frozen one keeps its input
            before = torch.cat([torch.full_like(reconstructions[:1], 0.5), reconstructions[:-1]])  # x̂_0 is mid-grey
            self.normalization.update(images - before)
        return codes, reconstructions

    @torch.inference_mode()
    def encode_layers(self, images: Tensor, iterations: int) -> Iterator[Tensor]:
        """Yields the codes of `iterate` alone. The decoder runs when the next codes are asked for, so not after the
        last. Raises ValueError if H or W is not a multiple of 16."""
        state, codes = self.start(torch.zeros_like(images)), None
        for _ in range(iterations):
            if codes is not None:
                state = self.decode_step(codes, state)
            activations, state = self.encode_step(images, state)
            codes = self.binarizer(activations)
            yield codes

    def encode(self, images: Tensor, iterations: int) -> Tensor:
        """The codes ``[T, B, bits, H / 16, W / 16]``, int8 in {-1, +1}, of images ``[B, 3, H, W]``. Raises ValueError
        if H or W is not a multiple of 16."""
        return torch.stack([codes.to(torch.int8) for codes in self.encode_layers(images, iterations)])

    @torch.inference_mode()
    def decode(self, layers: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yields the reconstruction x̂_t ``[B, 3, H, W]`` for the codes ``[B, bits, h, w]`` of each iteration in turn.
        On one machine it equals the x̂_t of `iterate` bit for bit."""
        state = None
        for codes in layers:
            codes = codes.to(self.normalization.scales().dtype)
            if state is None:
                batch, _, height, width = codes.shape
                state = self.start(codes.new_zeros(batch, 3, STRIDE * height, STRIDE * width))
            state = self.decode_step(codes, state)
            yield state.picture
