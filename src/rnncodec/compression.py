"""Pictures ↔ files, and the functions `compress` and `decompress` for users."""

import copy
import functools
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rnncodec import bitstream
from rnncodec.codec import STRIDE, IterativeCodec
from rnncodec.entropy import layers
from rnncodec.entropy.contract import Codes
from rnncodec.errors import ConfigurationError, FormatError, ImageError, WrongModelError
from rnncodec.image_metadata import as_info, metadata_of
from rnncodec.imaging import Pixels, open_image, to_pixels
from rnncodec.limits import MAX_PIXELS, too_large
from rnncodec.metadata import NO_METADATA, Metadata
from rnncodec.model_file import find_model, load_model, model_identity
from rnncodec.precision import convert, fastest
from rnncodec.quality import Quality, spread_sample
from rnncodec.rate import Target, bits_per_pixel
from rnncodec.tiles import Region, Tile, Tiling, Window, overlap, scaled, within
from rnncodec.weights import DEFAULT_MODEL, released_name

T = TypeVar("T")

DEFAULT_LAYERS = 8  # one bit a pixel before entropy coding; later layers add little that the eye sees
MORE_LAYERS = 2  # that are computed where a target needs more than was estimated


class Compressor:
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
        self.context = codec.context
        self.identities = {bitstream.RAW: model_identity(codec)}  # by coder id
        if self.context is not None:
            self.identities[self.context.coder] = model_identity(codec, self.context)
        self.coder = max(self.identities)  # of the files that are written
        self.bits = codec.config.bits
        self.trained_iterations: int = codec.training_info.get("iterations", 16)
        self.tiling = tiling
        try:
            own = copy.deepcopy(codec).eval()  # the network of the caller does not change
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
    ) -> bytes:
        """The file of ``iterations`` layers (by default `most_layers`), or of as many of them as ``target`` asks for,
        and of ``metadata``, which count where the target is a size.

        ``on_layer`` is called after each layer is written. ``on_work`` is called more often in large pictures, after
        each layer of each tile, with the share of the work on one layer of the whole picture that is done.

        Raises:
            ConfigurationError: ``iterations`` is not from 1 to 255, or the target cannot be met.
        """
        iterations = self.most_layers(target) if iterations is None else iterations
        if not 1 <= iterations <= bitstream.MAX_LAYERS:
            raise ConfigurationError(f"iterations must be from 1 to {bitstream.MAX_LAYERS}, not {iterations}")
        largest = target.largest(pixels)
        quality = Quality.of(target, pixels)
        payloads: list[bytes] = []
        packed = metadata.pack()
        content, best = b"", -math.inf
        for payload, reached in self._layers(pixels, iterations, target, quality, on_work):
            written, content = content, self._file(pixels, [*payloads, payload], packed)
            if largest is not None and len(content) > largest:
                if not payloads:
                    strip = f"; {len(packed):,} of them are metadata, which --strip (in Python strip=True) leaves out"
                    raise ConfigurationError(
                        f"one layer takes {len(content):,} bytes ({bits_per_pixel(len(content), pixels):.3f} bpp), "
                        f"more than the {largest:,} allowed; it is the least that can be written"
                        + (strip if packed else "")
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
    ) -> Iterator[tuple[bytes, Callable[[], float]]]:
        """Yields the payload of each of ``iterations`` layers, and a function that returns the quality after it."""
        tiles = self._tiles(*pixels.shape[:2])
        if len(tiles) == 1:
            for payload, show in islice(self.iterate(pixels), iterations):
                on_work(1.0)
                yield payload, lambda show=show: quality.measure(show(), pixels)  # type: ignore[union-attr, misc]
            return
        written, ahead = 0, self._estimate(pixels, iterations, target) if target else iterations
        while written < iterations:  # again with more layers, if the estimate was too low
            codes, qualities = self._encode_tiles(tiles, pixels, ahead, quality, on_work)
            history = list(codes)
            for t in range(written, ahead):
                yield self._encode(history[: t + 1]), partial(qualities.__getitem__, t)
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
        history: list[Codes] = []
        for codes, reconstruction in self.codec.iterate(self._images(pixels)):
            history.append(_signs(codes))
            yield self._encode(history), partial(_show, reconstruction, height, width)

    @torch.inference_mode()
    def _encode_tiles(
        self,
        tiles: list[Tile],
        pixels: Pixels,
        iterations: int,
        quality: Quality | None,
        on_work: Callable[[float], object],
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
            for t, (found, picture) in enumerate(islice(self.codec.iterate(images), iterations)):
                codes[(t, ..., *tile.middle)] = _signs(found)[(..., *tile.inner)]
                if quality is not None:
                    shown = _pixels(picture()[(0, ..., *inner)])[: original.shape[0], : original.shape[1]]
                    measured[t].append(quality.measure(shown, original))
                on_work(1.0 / len(tiles))
        return codes, [] if quality is None else [quality.whole(values, sizes) for values in measured]

    def _images(self, pixels: Pixels) -> Tensor:
        """Pixels, padded to multiples of STRIDE, as the network takes them: float ``[1, 3, H, W]`` in [0, 1]."""
        height, width = pixels.shape[:2]
        padded = np.pad(pixels, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="edge")
        return torch.from_numpy(padded).to(self.device).permute(2, 0, 1)[None].float() / 255.0

    def _encode(self, history: Sequence[Codes]) -> bytes:
        """The payload of the last codes in ``history``."""
        if self.context is None:
            return layers.pack(history[-1])
        return layers.encode(history[-1], history[:-1], self.context)

    def _file(self, pixels: Pixels, payloads: list[bytes], metadata: bytes) -> bytes:
        height, width = pixels.shape[:2]
        identity = self.identity
        header = bitstream.Header(identity, self.coder, width, height, self.bits, len(payloads))
        return bitstream.write(header, payloads, metadata)

    def decode(self, file: bitstream.File) -> Iterator[Pixels]:
        """Yields the picture after each layer of ``file``. Raises errors as `picture` does."""
        return self.decode_layers(file.header, file.layers)

    def decode_layers(self, header: bitstream.Header, payloads: Iterable[bytes]) -> Iterator[Pixels]:
        """Yields the picture after each of the layers whose ``payloads`` arrive. The states of all tiles are kept from
        one layer to the next, so that the memory grows with the picture. Raises errors as `picture` does."""
        area = (slice(0, header.height), slice(0, header.width))
        codes = Remembered(self._codes(header, payloads))
        tiles = self._tiles(header.height, header.width)
        for pictures in zip(*(self._decode_tile(tile, codes) for tile in tiles), strict=True):
            shown = np.empty((header.height, header.width, 3), np.uint8)
            for tile, picture in zip(tiles, pictures, strict=True):
                _place(picture, tile, shown, area)
            yield shown

    def picture(
        self,
        header: bitstream.Header,
        payloads: Iterable[bytes],
        region: Region | None = None,
        on_work: Callable[[float], object] = lambda layers: None,
    ) -> Pixels | None:
        """The picture after the last of the layers whose ``payloads`` arrive, or a ``region`` of it; None if there is
        no layer. Of a large picture the network runs on one tile at a time, and only on those that the region needs.
        ``on_work`` is called as by `compress`.

        Raises:
            WrongModelError: the file was written with another network.
            FormatError: its coder is unknown, or a layer cannot belong to a picture of the size in the header.
            ConfigurationError: the region is not in the picture.
        """
        area = (region or Region(0, 0, header.width, header.height)).window(header.width, header.height)
        codes = Remembered(self._codes(header, payloads))
        tiles = [
            tile for tile in self._tiles(header.height, header.width) if overlap(scaled(tile.middle, STRIDE), area)
        ]
        if next(iter(codes), None) is None:
            return None
        shown = np.empty((*(part.stop - part.start for part in area), 3), np.uint8)
        for tile in tiles:
            for picture in self._decode_tile(tile, codes):  # noqa: B007 (the last one counts)
                on_work(1.0 / len(tiles))
            _place(picture, tile, shown, area)
        return shown

    def _decode_tile(self, tile: Tile, codes: Iterable[Codes]) -> Iterator[Tensor]:
        """Yields the picture ``[1, 3, ·, ·]`` of a tile with its halo after each layer of the picture's ``codes``."""
        cut = (torch.from_numpy(each[(..., *tile.whole)].copy())[None].to(self.device) for each in codes)
        return self.codec.decode(cut)

    def _codes(self, header: bitstream.Header, payloads: Iterable[bytes]) -> Iterator[Codes]:
        """The codes of each layer."""
        if header.coder not in bitstream.CODERS:
            raise FormatError(f"its layers are coded by coder {header.coder}, which this rnncodec does not know")
        if header.model != self.identities.get(header.coder) or header.bits != self.bits:
            known = " or ".join(identity.hex() for identity in self.identities.values())
            raise WrongModelError(f"written with model {header.model.hex()}, which is not the one at hand ({known})")
        history: list[Codes] = []
        for payload in payloads:
            if header.coder == bitstream.RAW:
                codes = layers.unpack(payload, header.shape)
            else:
                assert self.context is not None  # else it had no identity for this coder
                codes = layers.decode(payload, header.shape, history, self.context)
            history.append(codes)
            yield codes

    def _tiles(self, height: int, width: int) -> list[Tile]:
        """The tiles of a picture of ``height`` × ``width`` pixels."""
        return self.tiling.tiles(-(-height // STRIDE), -(-width // STRIDE))


class Remembered(Generic[T]):
    """The values of an iterator, which is read only once. They can be iterated over many times, also at the same
    time."""

    def __init__(self, values: Iterator[T]) -> None:
        self._values = values
        self._seen: list[T] = []

    def __iter__(self) -> Iterator[T]:
        for number in count():
            if number == len(self._seen):
                try:
                    self._seen.append(next(self._values))
                except StopIteration:
                    return
            yield self._seen[number]


@torch.inference_mode()
def _show(picture: Callable[[], Tensor], height: int, width: int) -> Pixels:
    """The pixels of a reconstruction ``[1, 3, H, W]``, which is computed by this call."""
    return _pixels(picture()[0, :, :height, :width])


def _pixels(picture: Tensor) -> Pixels:
    """``[3, H, W]`` in [0, 1] as the 8-bit pixels that a decoder shows."""
    return (picture.clamp(0.0, 1.0) * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()


@torch.inference_mode()
def _place(picture: Tensor, tile: Tile, shown: Pixels, area: Window) -> None:
    """Write the part of a tile that lies in ``area`` to ``shown``, which holds the pixels of this area."""
    part = overlap(scaled(tile.middle, STRIDE), area)
    assert part is not None
    shown[within(part, area)] = _pixels(picture[(0, ..., *within(part, scaled(tile.whole, STRIDE)))])


def _signs(codes: Tensor) -> Codes:
    """Codes ``[1, bits, h, w]`` of the network as the entropy coder takes them."""
    return np.where((codes[0] > 0).cpu().numpy(), np.int8(1), np.int8(-1))


def compressor(model: str = DEFAULT_MODEL, device: str = "cpu") -> Compressor:
    """The Compressor of a released model, a weights file, or a run's folder. It is kept for later calls, until the
    file changes."""
    path = find_model(model).resolve()
    status = path.stat()
    return _compressor(path, device, (status.st_mtime_ns, status.st_size, status.st_ino))


@functools.lru_cache(maxsize=4)
def _compressor(path: Path, device: str, version: tuple[int, int, int]) -> Compressor:
    """``version`` is part of the cache's key: a file that was written anew is loaded anew."""
    return Compressor(load_model(path), device)


def compressor_for(header: bitstream.Header, model: str | None = None, device: str = "cpu") -> Compressor:
    """The Compressor for a file with this ``header``: of ``model``, or of the released model that it was written with.

    Raises:
        WrongModelError: no released model has the identity that the file names.
    """
    if model is not None:
        return compressor(model, device)
    name = released_name(header.model)
    if name is None:
        raise WrongModelError(
            f"written with model {header.model.hex()}, which is none of the released ones; name its weights (--model)"
        )
    return compressor(name, device)


def compress(
    image: Image.Image | str | os.PathLike[str],
    *,
    iterations: int | None = None,
    bpp: float | None = None,
    max_bytes: int | None = None,
    psnr: float | None = None,
    ms_ssim: float | None = None,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    device: str = "cpu",
    max_pixels: int = MAX_PIXELS,
    strip: bool = False,
) -> bytes:
    """Compress a picture, or the picture in a file, to the bytes of an ``.rnnc`` file.

    Args:
        image: of any size and mode of Pillow; `rnncodec.imaging.to_pixels` describes the conversion to RGB.
        iterations: the number of layers, from 1 to 255. The default is 8. With one of the targets below it is the
            largest number, and the default is as many as the model was trained for.
        bpp, max_bytes: the largest size of the file, in bits per pixel or in bytes: write as many layers as fit.
        psnr, ms_ssim: the least quality, PSNR in dB or MS-SSIM from 0 to 1: write as few layers as reach it.
        model: a released model's name, a weights file, or a run's folder.
        max_pixels: refuse a larger picture, before it is decoded; see :mod:`rnncodec.limits`.
        strip: leave out EXIF and XMP data, and the mark of a picture that had a colour profile. They are taken from
            ``image.info``.

    Raises:
        RnncodecError: see :mod:`rnncodec.errors`.
    """
    if not isinstance(image, Image.Image):
        image = open_image(image, max_pixels)
    elif complaint := too_large(*image.size, max_pixels):
        raise ImageError(complaint)
    target = Target(bpp, max_bytes, psnr, ms_ssim)
    pixels = to_pixels(image)[0]
    metadata = NO_METADATA if strip else metadata_of(image, pixels)[0]
    return compressor(str(model), device).compress(pixels, iterations, target=target, metadata=metadata)


def decompress(
    data: bytes,
    *,
    iterations: int | None = None,
    region: tuple[int, int, int, int] | None = None,
    model: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """The picture in the bytes of an ``.rnnc`` file, or of the beginning of one. Its ``info`` has the metadata of the
    file, as Pillow names them: ``exif``, ``xmp``, and a profile of sRGB if the original had a colour profile.

    For a file that was cut, or damaged behind its header, the whole layers are decoded, with a warning.

    Args:
        iterations: decode at most so many layers.
        region: return only this part of the picture, ``(x, y, width, height)`` in pixels from the top left. Of a large
            picture the network decodes only what the part needs. The pixels are the same as in the whole picture.
        model: the weights that the file was written with. By default they are looked up among the released ones.
        max_pixels: refuse a file whose header claims a larger picture; see :mod:`rnncodec.limits`.

    Raises:
        FormatError: not an ``.rnnc`` file, or it has no whole layer, or its picture is too large.
        WrongModelError: the file was written with other weights.
        ConfigurationError: the region is not in the picture, or ``iterations`` is less than 1.
    """
    file = bitstream.read(data)
    check_size(file.header, max_pixels)
    payloads = list(first_layers(file.layers, iterations))
    if not payloads:
        raise FormatError(f"nothing can be decoded: {file.damage}")
    if file.damage:
        warnings.warn(f"decoding {len(file.layers)} layers: {file.damage}", stacklevel=2)
    decoder = compressor_for(file.header, None if model is None else str(model), device)
    pixels = decoder.picture(file.header, payloads, None if region is None else Region(*region))
    assert pixels is not None  # there is a layer
    image = Image.fromarray(pixels)
    image.info.update(as_info(file.metadata))
    return image


def decompress_layers(
    chunks: Iterable[bytes],
    *,
    model: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Image.Image]:
    """Yields the picture after each layer of an ``.rnnc`` file whose bytes arrive in ``chunks``, as from a network.
    Each picture is decoded as soon as its layer is whole. Other arguments are those of `decompress`.

    If the file ends early or is damaged, there are fewer pictures, and a warning. The pictures are without metadata,
    which come last.

    Raises:
        FormatError: not an ``.rnnc`` file, or it has no whole layer, or its picture is too large.
        WrongModelError: the file was written with other weights.
    """
    reader = bitstream.Reader(chunks)
    check_size(reader.header, max_pixels)
    decoder = compressor_for(reader.header, None if model is None else str(model), device)
    decoded = 0
    for pixels in decoder.decode_layers(reader.header, reader):
        decoded += 1
        yield Image.fromarray(pixels)
    if not decoded:
        raise FormatError(f"nothing can be decoded: {reader.damage}")
    if reader.damage:
        warnings.warn(f"decoded {decoded} of {reader.header.layers} layers: {reader.damage}", stacklevel=2)


def check_size(header: bitstream.Header, max_pixels: int) -> None:
    """Raises FormatError if the header claims more than ``max_pixels`` pixels."""
    if complaint := too_large(header.width, header.height, max_pixels):
        raise FormatError(complaint)


def first_layers(payloads: Iterable[bytes], iterations: int | None) -> Iterator[bytes]:
    """The first ``iterations`` payloads; all if it is None. Raises ConfigurationError if it is less than 1."""
    if iterations is not None and iterations < 1:
        raise ConfigurationError(f"iterations must be at least 1, not {iterations}")
    return islice(payloads, iterations)
