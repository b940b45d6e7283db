"""Pictures ↔ files, with the network in torch."""

import copy
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rnncodec.coding.base import CODING, FileDecoder, Floats, as_pixels
from rnncodec.coding.code_search import search_codes
from rnncodec.coding.targets import Draft, Target, bits_per_pixel, spread_sample
from rnncodec.entropy.interface import Codes
from rnncodec.entropy.layer_coder import LayerCoder
from rnncodec.entropy.networks import Network, dequantize
from rnncodec.errors import ConfigurationError, WrongModelError
from rnncodec.fileformat import bitstream
from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.fileformat.metadata import NO_METADATA, Block, Metadata
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.fewer_passes import take_fewer_passes
from rnncodec.network.last_picture import decode_last
from rnncodec.network.precision import convert, fastest
from rnncodec.pictures.limits import MOST_EFFORT
from rnncodec.pictures.pixels import Pixels
from rnncodec.pictures.tiles import Tile, Tiling, Window, scaled
from rnncodec.weights.released import DEFAULT_MODEL, RUN_WEIGHTS, former_model, released_name
from rnncodec.weights.weights_file import find_model, identities, load_model

# The threads of OpenMP do not live on in a forked process, which would wait for them without end.
os.register_at_fork(after_in_child=functools.partial(torch.set_num_threads, 1))

DEFAULT_LAYERS = 8  # one bit a pixel before entropy coding; later layers add little that the eye sees
MORE_LAYERS = 2  # that are computed where a target needs more than was estimated
MEASURED = 3  # the last layers of those that are computed: to measure a quality may take longer than to code

OnWork = Callable[[float], object]


class TorchCodec(FileDecoder[Tensor]):
    """A codec on a device, ready to turn pixels into files and back.

    Pixels are uint8 ``[H, W, 3]``, RGB, of any size from 1×1. They are padded to multiples of 16 by repeating the last
    row and column; the decoder crops this padding away. The network runs on one tile of a large picture at a time, for
    all layers, so that its memory does not grow with the picture; ``tiling`` says what is large. ``dtype`` is the
    precision of the network; by default the `fastest` of the device.
    """

    @torch.inference_mode(False)  # weights made in the caller's inference mode would have no gradients for a search
    def __init__(
        self,
        codec: IterativeCodec,
        device: str | torch.device = "cpu",
        tiling: Tiling = Tiling(),  # noqa: B008 (it cannot change)
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(identities(codec), codec.context, codec.config.bits, tiling)
        self.coder = max(self.identities)  # of the files that are written
        self.trained_iterations = codec.trained_iterations
        try:
            own = copy.deepcopy(codec).eval().requires_grad_(False)  # the network of the caller does not change
            self.codec = own.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            torch.zeros(1, device=device).tolist()  # the device "meta" has no values
        except (RuntimeError, AssertionError) as error:
            raise ConfigurationError(f"device '{device}' cannot be used: {error}") from None
        self.device = torch.device(device)
        self.dtype = fastest(self.device) if dtype is None else dtype
        take_fewer_passes(self.codec)
        convert(self.codec, self.dtype)

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
        *,
        target: Target = Target(),  # noqa: B008 (it cannot change)
        metadata: Metadata = NO_METADATA,
        on_work: OnWork = lambda layers: None,
        effort: int = 0,
    ) -> bytes:
        """The file of ``iterations`` layers (by default `most_layers`), or of as many of them as ``target`` asks for,
        and of ``metadata``, which count where the target is a size.

        ``on_work`` is called with the work that was done since its last call, in layers of the whole picture: with 1
        after each layer; in large pictures, or with effort, with a part of 1 after each layer of each tile. ``effort``,
        from 0 to MOST_EFFORT, is how long better codes are searched for: see `rnncodec.coding.code_search`.

        Raises:
            ConfigurationError: ``iterations`` is not from 1 to 255, there is no such ``effort``, or the target cannot
                be met.
        """
        most = self.most_layers(target) if iterations is None else iterations
        check_options(most, effort)
        blocks = metadata.blocks()
        spare = bitstream.spare_size(blocks)
        draft = Draft(target, pixels, most, lambda payloads: self._file(pixels, payloads, blocks), spare)
        tiles = self._tiles(*pixels.shape[:2])
        if len(tiles) == 1 and not effort:
            self._layer_by_layer(draft, on_work)
        else:
            first = self._estimate(pixels, most, target) if target else most
            with torch.inference_mode(False):  # a search needs gradients, whatever the caller's mode is
                self._tile_by_tile(draft, tiles, first, on_work, effort)
        return draft.finished()

    @torch.inference_mode()
    def _layer_by_layer(self, draft: Draft, on_work: OnWork) -> None:
        """Write the layers of a picture of one tile, each as soon as the network has made its codes. So the network
        makes no layer that the target does not ask for."""
        height, width = draft.pixels.shape[:2]
        coder = LayerCoder(self.context)
        for codes, picture in self._network_layers(self.images(draft.pixels), draft):
            draft.add(coder.encode(_signs(codes)))
            on_work(1.0)
            if picture is not None and draft.quality is not None:
                shown = as_pixels(self.part(picture, (slice(0, height), slice(0, width))))
                draft.reach(draft.quality.measure(shown, draft.pixels))
            if draft.done:
                return

    def _tile_by_tile(self, draft: Draft, tiles: list[Tile], first: int, on_work: OnWork, effort: int) -> None:
        """Write the layers of a large picture. The network makes ``first`` layers of one tile, then of the next, so
        that it keeps the states of one tile only. If these are too few for the target, it makes all anew, and more. A
        quality is measured after the last MEASURED of them, and after all if fewer layers might do."""
        count, measured = first, max(0, first - MEASURED)
        while not draft.done:
            layers = self._encode_tiles(draft, tiles, min(count, draft.most), measured, on_work, effort)
            draft.restart()  # with more effort the codes of all layers depend on their number
            coder = LayerCoder(self.context)
            for t, (codes, quality) in enumerate(layers):  # noqa: B007 (the last one counts)
                draft.add(coder.encode(codes))
                on_work(CODING)
                if quality is not None:
                    draft.reach(quality)
                if draft.done:
                    break
            if draft.quality is not None and t == measured > 0:  # reached by the first that was measured
                draft.restart()
                measured = 0
            else:
                count += MORE_LAYERS

    def _estimate(self, pixels: Pixels, most: int, target: Target) -> int:
        """How many layers of a large picture a ``target`` probably needs, and one more: as many as a sample of it."""
        sample = spread_sample(pixels, STRIDE * self.tiling.side)
        if target.max_bytes is not None:
            target = Target(bpp=bits_per_pixel(target.max_bytes, pixels))
        try:
            written = bitstream.read(self.compress(sample, most, target=target)).header.layers
        except ConfigurationError:  # the first layer is too large, or the last one not good enough
            written = 0 if target.bpp is not None else most
        return min(written + 1, most)

    @torch.no_grad()
    def _encode_tiles(
        self, draft: Draft, tiles: list[Tile], count: int, measured: int, on_work: OnWork, effort: int
    ) -> list[tuple[Codes, float | None]]:
        """The codes ``[bits, h, w]`` of ``count`` layers, and the quality after each but the first ``measured``, if the
        target is one."""
        pixels, quality = draft.pixels, draft.quality
        height, width = pixels.shape[:2]
        codes = np.empty((count, self.bits, -(-height // STRIDE), -(-width // STRIDE)), np.int8)
        qualities: list[list[float]] = [[] for _ in range(count)]  # of each tile
        sizes = []
        for tile in tiles:
            images = self.images(pixels[scaled(tile.whole, STRIDE)])
            original = pixels[scaled(tile.middle, STRIDE)]
            sizes.append(original.shape[0] * original.shape[1])
            rows, columns = scaled(tile.inner, STRIDE)
            inside = (
                slice(rows.start, rows.start + original.shape[0]),  # without the padding
                slice(columns.start, columns.start + original.shape[1]),
            )
            done = partial(on_work, (1.0 - CODING) / len(tiles))
            layers: Iterable[tuple[Tensor, Tensor | None]]
            if effort:
                layers = search_codes(self.codec, self._context_network, images, count, effort, done)
            else:
                layers = self._network_layers(images, draft, count, done)
            for t, (found, picture) in enumerate(layers):
                codes[(t, ..., *tile.middle)] = _signs(found)[(..., *tile.inner)]
                if picture is not None and quality is not None and t >= measured:
                    qualities[t].append(quality.measure(as_pixels(self.part(picture, inside)), original))
        if quality is None:
            return [(each, None) for each in codes]
        return [
            (each, quality.whole(values, sizes) if values else None)
            for each, values in zip(codes, qualities, strict=True)
        ]

    def _network_layers(
        self, images: Tensor, draft: Draft, count: int | None = None, on_layer: Callable[[], object] = lambda: None
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yields the codes of each layer that the network makes of ``images``, and the picture after it, if its quality
        is asked for. ``on_layer`` is called after each layer."""
        count = draft.most if count is None else count
        if draft.quality is not None:
            layers: Iterator[tuple[Tensor, Tensor | None]] = self.codec.iterate(images, count)
        else:
            layers = ((codes, None) for codes in self.codec.encode_layers(images, count))
        for layer in layers:
            on_layer()
            yield layer

    @functools.cached_property
    def _context_network(self) -> Network | None:
        """The context model as a network, with gradients."""
        if self.context is None:
            return None
        return dequantize(self.context).to(self.device).requires_grad_(False)

    def images(self, pixels: Pixels) -> Tensor:
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
        return self.codec.decode(self._cut(tile, codes))

    def _decode_last(self, tile: Tile, codes: Iterable[Codes]) -> Tensor:
        picture = decode_last(self.codec, self._cut(tile, codes))
        assert picture is not None  # there is a layer
        return picture

    def _cut(self, tile: Tile, codes: Iterable[Codes]) -> Iterator[Tensor]:
        """The codes of a tile with its halo, as the network takes them: int8 ``[1, bits, h, w]``."""
        return (torch.from_numpy(each[(..., *tile.whole)].copy())[None].to(self.device) for each in codes)

    @torch.inference_mode()
    def part(self, picture: Tensor, window: Window) -> Floats:
        return picture[(0, ..., *window)].float().cpu().numpy()


def _signs(codes: Tensor) -> Codes:
    """Codes ``[1, bits, h, w]`` of the network as the entropy coder takes them."""
    return np.where((codes[0] > 0).cpu().numpy(), np.int8(1), np.int8(-1))


def check_options(iterations: int, effort: int) -> None:
    """Raises ConfigurationError if a file cannot have so many layers, or there is no such effort."""
    if not 1 <= iterations <= bitstream.MAX_LAYERS:
        raise ConfigurationError(f"iterations must be from 1 to {bitstream.MAX_LAYERS}, not {iterations}")
    if not 0 <= effort <= MOST_EFFORT:
        raise ConfigurationError(f"effort must be from 0 to {MOST_EFFORT}, not {effort}")


def load_torch_codec(model: str = DEFAULT_MODEL, device: str = "cpu") -> TorchCodec:
    """The TorchCodec of a released model, a weights file, or a run's folder. It is kept for later calls, until the
    file changes.

    Raises:
        ModelError: the weights cannot be found or read.
        ConfigurationError: the device cannot be used, or huggingface_hub is missing.
    """
    path, folder = find_model(model).resolve(), Path(model).resolve()
    status = path.stat()
    own = (folder / RUN_WEIGHTS).is_file() and path == (folder / RUN_WEIGHTS).resolve()
    source = folder if own else path  # a run says which packages its network needs
    return _load_torch_codec(source, device, (status.st_mtime_ns, status.st_size, status.st_ino))


@functools.lru_cache(maxsize=4)
def _load_torch_codec(path: Path, device: str, version: tuple[int, int, int]) -> TorchCodec:
    """``version`` is part of the cache's key: a file that was written anew is loaded anew."""
    return TorchCodec(load_model(path), device)


def torch_codec_for(header: bitstream.Header, model: str | None = None, device: str = "cpu") -> TorchCodec:
    """The TorchCodec for a file with this ``header``: of ``model``, or of the released model that it was written with.

    Raises:
        WrongModelError: no released model has the identity that the file names.
        ModelError, ConfigurationError: see `load_torch_codec`.
    """
    if model is not None:
        return load_torch_codec(model, device)
    name = released_name(header.model)
    if name is None:
        former = former_model(header.model)
        if former is not None:
            raise WrongModelError(
                f"written with the model {former}; install that version, or name its weights (--model)"
            )
        raise WrongModelError(
            f"written with model {header.model.hex()}, which is none of the released ones; name its weights (--model)"
        )
    return load_torch_codec(name, device)
