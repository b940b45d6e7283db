"""Pictures ↔ files in torch, and the function `compress` for users."""

import copy
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnncodec.coding.base import CODING, FileDecoder
from rnncodec.coding.code_search import search_codes
from rnncodec.coding.targets import Quality, Target, bits_per_pixel, spread_sample
from rnncodec.entropy.interface import Codes
from rnncodec.entropy.layer_coder import LayerCoder
from rnncodec.entropy.networks import Network, dequantize
from rnncodec.errors import ConfigurationError, WrongModelError
from rnncodec.fileformat import bitstream
from rnncodec.fileformat.metadata import NO_METADATA, Block, Metadata
from rnncodec.network.codec import STRIDE, IterativeCodec
from rnncodec.network.precision import convert, fastest
from rnncodec.pictures.limits import MOST_EFFORT
from rnncodec.pictures.pixels import Pixels
from rnncodec.pictures.tiles import Tile, Tiling, Window, scaled
from rnncodec.weights.released import DEFAULT_MODEL, released_name
from rnncodec.weights.weights_file import find_model, load_model, model_identity

DEFAULT_LAYERS = 8  # one bit a pixel before entropy coding; later layers add little that the eye sees
MORE_LAYERS = 2  # that are computed where a target needs more than was estimated


class TorchCodec(FileDecoder[Tensor]):
    """A codec on a device, ready to turn pixels into files and back.

    Pixels are uint8 ``[H, W, 3]``, RGB, of any size from 1×1. They are padded to multiples of 16 by repeating the last
    row and column; the decoder crops this padding away. The network runs on one tile of a large picture at a time, for
    all layers, so that its memory does not grow with the picture; ``tiling`` says what is large. ``dtype`` is the
    precision of the network; by default the `fastest` of the device.
    """

    def __init__(
        self,
        codec: IterativeCodec,
        device: str | torch.device = "cpu",
        tiling: Tiling = Tiling(),  # noqa: B008 (it cannot change)
        dtype: torch.dtype | None = None,
    ) -> None:
        identities = {bitstream.RAW: model_identity(codec)}
        if codec.context is not None:
            identities[codec.context.coder] = model_identity(codec, codec.context)
        super().__init__(identities, codec.context, codec.config.bits, tiling)
        self.coder = max(identities)  # of the files that are written
        self.trained_iterations: int = codec.training_info.get("iterations", 16)
        try:
            own = copy.deepcopy(codec).eval().requires_grad_(False)  # the network of the caller does not change
            self.codec = own.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        except (RuntimeError, AssertionError) as error:
            raise ConfigurationError(f"device '{device}' cannot be used: {error}") from None
        self.device = torch.device(device)
        convert(self.codec, fastest(self.device) if dtype is None else dtype)

    @property
    def identity(self) -> bytes:
        """The identity of the model that the header of a written file holds."""
        return self.identities[self.coder]

    def most_layers(self, target: Target) -> int:
        """How many layers are written if their number is not given: DEFAULT_LAYERS; or, if there is a ``target``, at
        most as many as the network was trained for."""
        return self.trained_iterations if target else min(DEFAULT_LAYERS, self.trained_iterations)

    def compress(
        self,
        pixels: Pixels,
        iterations: int | None = None,
        on_layer: Callable[[], object] = lambda: None,
        target: Target = Target(),  # noqa: B008 (it cannot change)
        metadata: Metadata = NO_METADATA,
        on_work: Callable[[float], object] = lambda layers: None,
        effort: int = 0,
    ) -> bytes:
        """The file of ``iterations`` layers (by default `most_layers`), or of as many of them as ``target`` asks for,
        and of ``metadata``, which count where the target is a size.

        ``on_layer`` is called after each layer is written. ``on_work`` is called more often in large pictures, after
        each layer of each tile, with the share of the work on one layer of the whole picture that is done. ``effort``,
        from 0 to MOST_EFFORT, is how long better codes are searched for: see `rnncodec.coding.code_search`.

        Raises:
            ConfigurationError: ``iterations`` is not from 1 to 255, there is no such ``effort``, or the target cannot
                be met.
        """
        iterations = self.most_layers(target) if iterations is None else iterations
        if not 1 <= iterations <= bitstream.MAX_LAYERS:
            raise ConfigurationError(f"iterations must be from 1 to {bitstream.MAX_LAYERS}, not {iterations}")
        if not 0 <= effort <= MOST_EFFORT:
            raise ConfigurationError(f"effort must be from 0 to {MOST_EFFORT}, not {effort}")
        largest = target.largest(pixels)
        quality = Quality.of(target, pixels)
        payloads: list[bytes] = []
        blocks = metadata.blocks()
        content, best = b"", -math.inf
        for payload, reached in self._layers(pixels, iterations, target, quality, on_work, effort):
            written, content = content, self._file(pixels, [*payloads, payload], blocks)
            if largest is not None and len(content) > largest:
                if not payloads:
                    spare = bitstream.spare_size(blocks)
                    strip = f"; {spare:,} of them are metadata, which --strip (in Python strip=True) leaves out"
                    raise ConfigurationError(
                        f"one layer takes {len(content):,} bytes ({bits_per_pixel(len(content), pixels):.3f} bpp), "
                        f"more than the {largest:,} allowed; it is the least that can be written"
                        + (strip if spare else "")
                    )
                return written
            payloads.append(payload)
            on_layer()
            if quality is not None:
                best = max(best, reached())
                if best >= quality.least:
                    return content
        if quality is not None:
            raise ConfigurationError(
                f"{iterations} layers reach {best:.4g} {quality.name}, not {quality.least:g}; that is the nearest to it"
            )
        return content

    def _layers(
        self,
        pixels: Pixels,
        iterations: int,
        target: Target,
        quality: Quality | None,
        on_work: Callable[[float], object],
        effort: int,
    ) -> Iterator[tuple[bytes, Callable[[], float]]]:
        """Yields the payload of each of ``iterations`` layers, and a function that returns the quality after it."""
        tiles = self._tiles(*pixels.shape[:2])
        if len(tiles) == 1 and not effort:
            for payload, show in islice(self.iterate(pixels), iterations):
                on_work(1.0)
                yield payload, lambda show=show: quality.measure(show(), pixels)  # type: ignore[union-attr, misc]
            return
        coder = LayerCoder(self.context)
        written, ahead = 0, self._estimate(pixels, iterations, target) if target else iterations
        while written < iterations:  # again with more layers, if the estimate was too low
            codes, qualities = self._encode_tiles(tiles, pixels, ahead, quality, on_work, effort)
            for t in range(written, ahead):
                payload = coder.encode(codes[t])
                on_work(CODING)
                yield payload, partial(qualities.__getitem__, t)
            written, ahead = ahead, min(ahead + MORE_LAYERS, iterations)

    def _estimate(self, pixels: Pixels, iterations: int, target: Target) -> int:
        """How many layers of a large picture a ``target`` probably needs, and one more: as many as a sample of it."""
        sample = spread_sample(pixels, STRIDE * self.tiling.side)
        if target.max_bytes is not None:
            target = Target(bpp=bits_per_pixel(target.max_bytes, pixels))
        try:
            written = bitstream.read(self.compress(sample, iterations, target=target)).header.layers
        except ConfigurationError:  # the first layer is too large, or the last one not good enough
            written = 0 if target.bpp is not None else iterations
        return min(written + 1, iterations)

    @torch.inference_mode()
    def iterate(self, pixels: Pixels) -> Iterator[tuple[bytes, Callable[[], Pixels]]]:
        """Yields, without end, the payload of each layer and a function that returns the picture that a decoder shows
        after this layer. The network runs on the whole picture at once."""
        height, width = pixels.shape[:2]
        coder = LayerCoder(self.context)
        for codes, reconstruction in self.codec.iterate(self._images(pixels)):
            yield coder.encode(_signs(codes)), partial(_show, reconstruction, height, width)

    @torch.no_grad()
    def _encode_tiles(
        self,
        tiles: list[Tile],
        pixels: Pixels,
        iterations: int,
        quality: Quality | None,
        on_work: Callable[[float], object],
        effort: int,
    ) -> tuple[NDArray[np.int8], list[float]]:
        """The codes ``[iterations, bits, h, w]``, tile by tile, and the quality after each layer, if it is asked for.
        Only the codes of a tile are kept, not the states of the network."""
        height, width = pixels.shape[:2]
        codes = np.empty((iterations, self.bits, -(-height // STRIDE), -(-width // STRIDE)), np.int8)
        measured: list[list[float]] = [[] for _ in range(iterations)]
        sizes = []
        for tile in tiles:
            images = self._images(pixels[scaled(tile.whole, STRIDE)])
            original = pixels[scaled(tile.middle, STRIDE)]
            sizes.append(original.shape[0] * original.shape[1])
            inner = scaled(tile.inner, STRIDE)
            on_layer = partial(on_work, (1.0 - CODING) / len(tiles))
            for t, (found, picture) in enumerate(self._tile_layers(images, iterations, effort, on_layer)):
                codes[(t, ..., *tile.middle)] = _signs(found)[(..., *tile.inner)]
                if quality is not None:
                    shown = _pixels(picture()[(0, ..., *inner)])[: original.shape[0], : original.shape[1]]
                    measured[t].append(quality.measure(shown, original))
        return codes, [] if quality is None else [quality.whole(values, sizes) for values in measured]

    def _tile_layers(
        self, images: Tensor, iterations: int, effort: int, on_layer: Callable[[], object]
    ) -> Iterator[tuple[Tensor, Callable[[], Tensor]]]:
        """Yields the codes of each layer of a tile, and a function that returns the reconstruction. ``on_layer`` is
        called when a layer is done."""
        if effort:
            found = search_codes(self.codec, self._network, images, iterations, effort, on_layer)
            yield from ((codes, partial(_same, picture)) for codes, picture in found)
            return
        for layer in islice(self.codec.iterate(images), iterations):
            yield layer
            on_layer()

    @functools.cached_property
    def _network(self) -> Network | None:
        """The context model as a network, with gradients."""
        if self.context is None:
            return None
        return dequantize(self.context).to(self.device).requires_grad_(False)

    def _images(self, pixels: Pixels) -> Tensor:
        """Pixels, padded to multiples of STRIDE, as the network takes them: float ``[1, 3, H, W]`` in [0, 1]."""
        height, width = pixels.shape[:2]
        padded = np.pad(pixels, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="edge")
        return torch.from_numpy(padded).to(self.device).permute(2, 0, 1)[None].float() / 255.0

    def _file(self, pixels: Pixels, payloads: list[bytes], blocks: list[Block]) -> bytes:
        height, width = pixels.shape[:2]
        identity = self.identity
        header = bitstream.Header(identity, self.coder, width, height, self.bits, len(payloads))
        return bitstream.write(header, payloads, blocks)

    def _decode_tile(self, tile: Tile, codes: Iterable[Codes]) -> Iterator[Tensor]:
        cut = (torch.from_numpy(each[(..., *tile.whole)].copy())[None].to(self.device) for each in codes)
        return self.codec.decode(cut)

    @torch.inference_mode()
    def _cut(self, picture: Tensor, window: Window) -> Pixels:
        return _pixels(picture[(0, ..., *window)])


def _same(picture: Tensor) -> Tensor:
    return picture


@torch.inference_mode()
def _show(picture: Callable[[], Tensor], height: int, width: int) -> Pixels:
    """The pixels of a reconstruction ``[1, 3, H, W]``, which is computed by this call."""
    return _pixels(picture()[0, :, :height, :width])


def _pixels(picture: Tensor) -> Pixels:
    """``[3, H, W]`` in [0, 1] as the 8-bit pixels that a decoder shows."""
    return (picture * 255.0).round_().clamp_(0.0, 255.0).byte().permute(1, 2, 0).cpu().numpy()


def _signs(codes: Tensor) -> Codes:
    """Codes ``[1, bits, h, w]`` of the network as the entropy coder takes them."""
    return np.where((codes[0] > 0).cpu().numpy(), np.int8(1), np.int8(-1))


def load_torch_codec(model: str = DEFAULT_MODEL, device: str = "cpu") -> TorchCodec:
    """The TorchCodec of a released model, a weights file, or a run's folder. It is kept for later calls, until the
    file changes."""
    path = find_model(model).resolve()
    status = path.stat()
    return _load_torch_codec(path, device, (status.st_mtime_ns, status.st_size, status.st_ino))


@functools.lru_cache(maxsize=4)
def _load_torch_codec(path: Path, device: str, version: tuple[int, int, int]) -> TorchCodec:
    """``version`` is part of the cache's key: a file that was written anew is loaded anew."""
    return TorchCodec(load_model(path), device)


def torch_codec_for(header: bitstream.Header, model: str | None = None, device: str = "cpu") -> TorchCodec:
    """The TorchCodec for a file with this ``header``: of ``model``, or of the released model that it was written with.

    Raises:
        WrongModelError: no released model has the identity that the file names.
    """
    if model is not None:
        return load_torch_codec(model, device)
    name = released_name(header.model)
    if name is None:
        raise WrongModelError(
            f"written with model {header.model.hex()}, which is none of the released ones; name its weights (--model)"
        )
    return load_torch_codec(name, device)
