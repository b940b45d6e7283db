"""Pictures ↔ files, and the functions `compress` and `decompress` for users."""

import copy
import functools
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
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
from rnncodec.rate import Target, bits_per_pixel
from rnncodec.weights import DEFAULT_MODEL, released_name

DEFAULT_LAYERS = 8  # one bit a pixel before entropy coding; later layers add little that the eye sees


class Compressor:
    """A codec on a device, ready to turn pixels into files and back.

    Pixels are uint8 ``[H, W, 3]``, RGB, of any size from 1×1. They are padded to multiples of 16 by repeating the last
    row and column; the decoder crops this padding away.
    """

    def __init__(self, codec: IterativeCodec, device: str | torch.device = "cpu") -> None:
        self.context = codec.context
        self.identities = {bitstream.RAW: model_identity(codec)}  # by coder id
        if self.context is not None:
            self.identities[self.context.coder] = model_identity(codec, self.context)
        self.coder = max(self.identities)  # of the files that are written
        self.bits = codec.config.bits
        self.trained_iterations: int = codec.training_info.get("iterations", 16)
        try:
            own = copy.deepcopy(codec).eval()  # the network of the caller does not change
            self.codec = own.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        except (RuntimeError, AssertionError) as error:
            raise ConfigurationError(f"device '{device}' cannot be used: {error}") from None
        self.device = torch.device(device)

    @property
    def identity(self) -> bytes:
        """The identity of the model that the header of a written file holds."""
        return self.identities[self.coder]

    def most_layers(self, target: Target) -> int:
        """How many layers are written if their number is not given: DEFAULT_LAYERS; or, if there is a ``target``, at
        most as many as the network was trained for."""
        return self.trained_iterations if target else min(DEFAULT_LAYERS, self.trained_iterations)

    @torch.inference_mode()
    def iterate(self, pixels: Pixels) -> Iterator[tuple[bytes, Callable[[], Pixels]]]:
        """Yields, without end, the payload of each layer and a function that returns the picture that a decoder shows
        after this layer."""
        height, width = pixels.shape[:2]
        padded = np.pad(pixels, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="edge")
        images = torch.from_numpy(padded).to(self.device).permute(2, 0, 1)[None].float() / 255.0
        history: list[Codes] = []
        for codes, reconstruction in self.codec.iterate(images):
            history.append(np.where(codes[0].cpu().numpy() > 0, np.int8(1), np.int8(-1)))
            yield self._encode(history), partial(_show, reconstruction, height, width)

    def _encode(self, history: list[Codes]) -> bytes:
        """The payload of the last codes in ``history``."""
        if self.context is None:
            return layers.pack(history[-1])
        return layers.encode(history[-1], history[:-1], self.context)

    def compress(
        self,
        pixels: Pixels,
        iterations: int | None = None,
        on_layer: Callable[[], object] = lambda: None,
        target: Target = Target(),  # noqa: B008 (it cannot change)
        metadata: Metadata = NO_METADATA,
    ) -> bytes:
        """The file of ``iterations`` layers (by default `most_layers`), or of as many of them as ``target`` asks for,
        and of ``metadata``, which count where the target is a size; ``on_layer`` is called after each layer.

        Raises:
            ConfigurationError: ``iterations`` is not from 1 to 255, or the target cannot be met.
        """
        iterations = self.most_layers(target) if iterations is None else iterations
        if not 1 <= iterations <= bitstream.MAX_LAYERS:
            raise ConfigurationError(f"iterations must be from 1 to {bitstream.MAX_LAYERS}, not {iterations}")
        largest = target.largest(pixels)
        measure, least, unit = _quality(target, pixels)
        payloads: list[bytes] = []
        packed = metadata.pack()
        content, best = b"", -math.inf
        for payload, show in islice(self.iterate(pixels), iterations):
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
            if measure is not None:
                quality = measure(show())
                if quality >= least:
                    return content
                best = max(best, quality)
        if best > -math.inf:
            raise ConfigurationError(
                f"{iterations} layers reach {best:.4g} {unit}, not {least:g}; that is the nearest to it"
            )
        return content

    def _file(self, pixels: Pixels, payloads: list[bytes], metadata: bytes) -> bytes:
        height, width = pixels.shape[:2]
        identity = self.identity
        header = bitstream.Header(identity, self.coder, width, height, self.bits, len(payloads))
        return bitstream.write(header, payloads, metadata)

    def decode(self, file: bitstream.File) -> Iterator[Pixels]:
        """Yields the picture after each layer of ``file``. Raises errors as `decode_layers` does."""
        return self.decode_layers(file.header, file.layers)

    def decode_layers(self, header: bitstream.Header, payloads: Iterable[bytes]) -> Iterator[Pixels]:
        """Yields the picture after each of the layers whose ``payloads`` arrive.

        Raises:
            WrongModelError: the file was written with another network.
            FormatError: its coder is unknown, or a layer cannot belong to a picture of the size in the header.
        """
        if header.coder not in bitstream.CODERS:
            raise FormatError(f"its layers are coded by coder {header.coder}, which this rnncodec does not know")
        if header.model != self.identities.get(header.coder) or header.bits != self.bits:
            known = " or ".join(identity.hex() for identity in self.identities.values())
            raise WrongModelError(f"written with model {header.model.hex()}, which is not the one at hand ({known})")
        for reconstruction in self.codec.decode(self._codes(header, payloads)):
            yield _crop(reconstruction, header.height, header.width)

    def _codes(self, header: bitstream.Header, payloads: Iterable[bytes]) -> Iterator[Tensor]:
        """The codes ``[1, bits, h, w]`` of each layer."""
        history: list[Codes] = []
        for payload in payloads:
            if header.coder == bitstream.RAW:
                codes = layers.unpack(payload, header.shape)
            else:
                assert self.context is not None  # else it had no identity for this coder
                codes = layers.decode(payload, header.shape, history, self.context)
            history.append(codes)
            yield torch.from_numpy(codes)[None].to(self.device)


def _quality(target: Target, pixels: Pixels) -> tuple[Callable[[Pixels], float] | None, float, str]:
    """For a target of quality: a function that measures a reconstruction of ``pixels``, the least value that ``target``
    asks for, and the name of the measure in messages. For other targets the function is None.

    Raises:
        ConfigurationError: a package is missing, or the picture is too small for MS-SSIM.
    """
    if target.psnr is None and target.ms_ssim is None:
        return None, 0.0, ""
    try:
        from rnncodec import metrics  # torchmetrics is an optional package
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"measuring quality needs {error.name}: pip install 'rnncodec[evaluate]'") from None
    original = metrics.as_tensor(pixels)
    if target.psnr is not None:
        return lambda shown: float(metrics.psnr(metrics.as_tensor(shown), original)), target.psnr, "dB PSNR"
    assert target.ms_ssim is not None
    if min(pixels.shape[:2]) < metrics.SMALLEST_SIDE:
        raise ConfigurationError(f"MS-SSIM needs a picture of at least {metrics.SMALLEST_SIDE} pixels a side")
    return lambda shown: float(metrics.ms_ssim(metrics.as_tensor(shown), original)), target.ms_ssim, "MS-SSIM"


@torch.inference_mode()
def _show(picture: Callable[[], Tensor], height: int, width: int) -> Pixels:
    """The pixels of a reconstruction, which is computed by this call."""
    return _crop(picture(), height, width)


def _crop(reconstruction: Tensor, height: int, width: int) -> Pixels:
    """``[1, 3, H, W]`` in [0, 1] to the 8-bit pixels that a decoder shows."""
    pixels = (reconstruction[0, :, :height, :width].clamp(0.0, 1.0) * 255.0).round().byte()
    return pixels.permute(1, 2, 0).cpu().numpy()


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
    model: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """The picture in the bytes of an ``.rnnc`` file, or of the beginning of one. Its ``info`` has the metadata of the
    file, as Pillow names them: ``exif``, ``xmp``, and a profile of sRGB if the original had a colour profile.

    For a file that was cut, or damaged behind its header, the whole layers are decoded, with a warning.

    Args:
        iterations: decode at most so many layers.
        model: the weights that the file was written with. By default they are looked up among the released ones.
        max_pixels: refuse a file whose header claims a larger picture; see :mod:`rnncodec.limits`.

    Raises:
        FormatError: not an ``.rnnc`` file, or it has no whole layer, or its picture is too large.
        WrongModelError: the file was written with other weights.
    """
    file = read_file(data, max_pixels)
    if file.damage:
        warnings.warn(f"decoding {len(file.layers)} layers: {file.damage}", stacklevel=2)
    decoder = compressor_for(file.header, None if model is None else str(model), device)
    image = Image.fromarray(last_picture(decoder, file, iterations))
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
    header, payloads = bitstream.read_stream(chunks)
    check_size(header, max_pixels)
    decoder = compressor_for(header, None if model is None else str(model), device)
    decoded = 0
    for pixels in decoder.decode_layers(header, payloads):
        decoded += 1
        yield Image.fromarray(pixels)
    if not decoded:
        raise FormatError("nothing can be decoded: it was cut or damaged inside its first layer")
    if decoded < header.layers:
        warnings.warn(f"decoded {decoded} of {header.layers} layers: the rest was cut or is damaged", stacklevel=2)


def check_size(header: bitstream.Header, max_pixels: int) -> None:
    """Raises FormatError if the header claims more than ``max_pixels`` pixels."""
    if complaint := too_large(header.width, header.height, max_pixels):
        raise FormatError(complaint)


def read_file(data: bytes, max_pixels: int = MAX_PIXELS) -> bitstream.File:
    """Parse a file whose picture is to be decoded.

    Raises:
        FormatError: there is no whole layer, or the header claims more than ``max_pixels`` pixels.
    """
    file = bitstream.read(data)
    check_size(file.header, max_pixels)
    if not file.layers:
        raise FormatError(f"nothing can be decoded: {file.damage}")
    return file


def last_picture(
    decoder: Compressor,
    file: bitstream.File,
    iterations: int | None = None,
    on_layer: Callable[[], object] = lambda: None,
) -> Pixels:
    """The picture after the last layer of ``file``, or after ``iterations`` layers if there are more.

    Raises:
        ConfigurationError: ``iterations`` is less than 1.
    """
    if iterations is not None and iterations < 1:
        raise ConfigurationError(f"iterations must be at least 1, not {iterations}")
    pictures = islice(decoder.decode(file), iterations)
    pixels = next(pictures)
    on_layer()
    for pixels in pictures:  # noqa: B007 (the last one counts)
        on_layer()
    return pixels
