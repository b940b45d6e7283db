"""The functions `decompress` and `decompress_layers` for users."""

import os
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from PIL import Image

from rnncodec import bitstream, exported
from rnncodec.decompressor import Decompressor, check_size, first_layers
from rnncodec.errors import FormatError
from rnncodec.image_metadata import as_info
from rnncodec.limits import MAX_PIXELS
from rnncodec.tiles import Region


def decompressor_for(header: bitstream.Header, model: str | None = None, device: str = "cpu") -> Decompressor[Any]:
    """What decompresses a file with this ``header``: ``model``, or the released model that it was written with. If
    ``model`` is the folder of an exported network, onnxruntime runs it, and torch is not imported.

    Raises:
        ModelError: ``model`` cannot be found or read.
        WrongModelError: no released model has the identity that the file names.
        ConfigurationError: the device cannot be used, or onnxruntime is missing.
    """
    if model is not None and exported.is_exported(model):
        return exported.decompressor(model, device)
    from rnncodec.compression import compressor_for  # imports torch

    return compressor_for(header, model, device)


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
    decompressor = decompressor_for(file.header, None if model is None else str(model), device)
    pixels = decompressor.picture(file.header, payloads, None if region is None else Region(*region))
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
    decompressor = decompressor_for(reader.header, None if model is None else str(model), device)
    decoded = 0
    for pixels in decompressor.decode_layers(reader.header, reader):
        decoded += 1
        yield Image.fromarray(pixels)
    if not decoded:
        raise FormatError(f"nothing can be decoded: {reader.damage}")
    if reader.damage:
        warnings.warn(f"decoded {decoded} of {reader.header.layers} layers: {reader.damage}", stacklevel=2)
