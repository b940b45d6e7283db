"""What ``rnncodec.*`` offers: `compress`, `decompress` and `decompress_layers`."""

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from PIL import Image

from rnncodec.coding import onnx_codec
from rnncodec.coding.base import FileDecoder, check_size, first_layers
from rnncodec.coding.targets import Target
from rnncodec.errors import FormatError, ImageError
from rnncodec.fileformat import bitstream
from rnncodec.fileformat.metadata import NO_METADATA
from rnncodec.pictures.limits import MAX_PIXELS, MAX_PIXELS_OF_ALL_LAYERS, too_large
from rnncodec.pictures.pillow_metadata import as_info, metadata_of, picture_of, resized
from rnncodec.pictures.pixels import check_image, open_image, to_pixels_and_alpha
from rnncodec.pictures.tiles import Region
from rnncodec.pictures.transparency import pack_alpha
from rnncodec.terminal import counted
from rnncodec.weights.released import DEFAULT_MODEL


def decoder_for(header: bitstream.Header, model: str | None = None, device: str = "cpu") -> FileDecoder[Any]:
    """What decompresses a file with this ``header``: ``model``, or the released model that it was written with. If
    ``model`` is the folder of an exported network, onnxruntime runs it, and torch is not imported.

    Raises:
        ModelError: ``model`` cannot be found or read.
        WrongModelError: no released model has the identity that the file names.
        ConfigurationError: the device cannot be used, or onnxruntime is missing.
    """
    if model is not None and onnx_codec.is_exported(model):
        return onnx_codec.load_onnx_decoder(model, device)
    from rnncodec.coding.torch_codec import torch_codec_for  # imports torch

    return torch_codec_for(header, model, device)


def compress(
    image: Image.Image | str | os.PathLike[str],
    *,
    iterations: int | None = None,
    bpp: float | None = None,
    max_bytes: int | None = None,
    psnr: float | None = None,
    ms_ssim: float | None = None,
    quality: int | None = None,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    device: str = "cpu",
    max_pixels: int = MAX_PIXELS,
    strip: bool = False,
    effort: int = 0,
) -> bytes:
    """Compress a picture, or the picture in a file, to the bytes of an ``.rnnc`` file. What of it is lost, beside what
    the codec loses, is said in warnings: of 16 bits a channel, or of metadata that do not fit.

    Args:
        image: of any size and mode of Pillow; `rnncodec.pictures.pixels.to_pixels` describes the conversion to RGB.
        iterations: the number of layers, from 1 to 255. The default is 8, or fewer if the model was trained for fewer.
            With one of the targets below it is the largest number, and the default is as many as the model was trained
            for.
        bpp, max_bytes: the largest size of the file, in bits per pixel or in bytes: write as many layers as fit.
        psnr, ms_ssim: the least quality, PSNR in dB or MS-SSIM from 0 to 1: write as few layers as reach it.
        quality: the least quality on a scale from 1 to 100 that means the same on every picture: MS-SSIM in dB,
            ``-10 * log10(1 - MS-SSIM) = 5 + 0.15 * quality``. 33 is an MS-SSIM of 0.90, 67 of 0.97, 100 of 0.99. A
            picture of less than 176 pixels on a side is continued by mirror images to measure it.
        model: a released model's name, a weights file, a run's folder, or ``hf://OWNER/NAME`` on the Hugging Face Hub.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``: where the network runs.
        max_pixels: refuse a larger picture, before it is decoded; see `rnncodec.pictures.limits`.
        strip: leave out EXIF and XMP data, and the mark of a picture that had a colour profile. They are taken from
            ``image.info``.
        effort: from 0 to 3, how long better codes are searched for. A file of more effort is smaller at the same
            quality, and decodes as fast. Level 1 tries 4 sets of codes for each layer, level 2 tries 10, and level 3
            tries 20. Each try takes longer than the whole layer takes at level 0.

    Raises:
        RnncodecError: see `rnncodec.errors`.
    """
    from rnncodec.coding.torch_codec import load_torch_codec  # imports torch

    if not isinstance(image, Image.Image):
        image = open_image(image, max_pixels)
    else:
        check_image(image, max_pixels)
    target = Target(bpp, max_bytes, psnr, ms_ssim, quality)
    pixels, alpha, notes = to_pixels_and_alpha(image)
    metadata, left_out = (NO_METADATA, []) if strip else metadata_of(image, pixels)
    packed, flattened = pack_alpha(alpha)
    metadata = replace(metadata, alpha=packed)
    codec = load_torch_codec(str(model), device)
    layers = codec.most_layers(target) if iterations is None else iterations
    if complaint := too_large(pixels.shape[1], pixels.shape[0], max_pixels, layers):
        raise ImageError(complaint)
    for note in notes + left_out + flattened:
        warnings.warn(note, stacklevel=2)
    return codec.compress(pixels, iterations, target=target, metadata=metadata, effort=effort)


def decompress(
    data: bytes,
    *,
    layers: int | None = None,
    region: tuple[int, int, int, int] | None = None,
    model: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """The picture in the bytes of an ``.rnnc`` file, or of the beginning of one, in mode RGB, or RGBA if the file
    has an alpha. Its ``info`` has the metadata of the file, as Pillow names them: ``exif``, ``xmp``, and a profile of
    sRGB if the original had a colour profile.

    For a file that was cut, or damaged behind its header, the whole layers are decoded, with a warning.

    Args:
        layers: decode at most so many of them.
        region: return only this part of the picture, ``(x, y, width, height)`` in pixels from the top left. Of a large
            picture the network decodes only what the part needs. The pixels are the same as in the whole picture.
        model: the weights that the file was written with, named as for `compress`, or the folder of an exported
            network, which needs no torch. By default they are looked up among the released ones.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``: where the network runs.
        max_pixels: refuse a file whose header claims a larger picture; see `rnncodec.pictures.limits`.

    Raises:
        FormatError: not an ``.rnnc`` file, or it has no whole layer, or its picture is too large.
        WrongModelError: the file was written with other weights.
        ModelError: ``model`` cannot be found or read.
        ConfigurationError: the region is not in the picture, or ``layers`` is less than 1; the device cannot be used;
            onnxruntime, which an exported network needs, is missing.
    """
    file = bitstream.read(data)
    payloads = list(first_layers(file.layers, layers))
    check_size(file.header, max_pixels, len(payloads))
    if not payloads:
        raise FormatError(f"nothing can be decoded: {file.damage}")
    if file.damage:
        warnings.warn(f"decoding {counted(len(payloads), 'layer')}: {file.damage}", stacklevel=2)
    decoder = decoder_for(file.header, None if model is None else str(model), device)
    part = None if region is None else Region(*region)
    pixels = decoder.picture(file.header, payloads, part)
    assert pixels is not None  # there is a layer
    image, notes = picture_of(pixels, file.metadata, file.header.width, file.header.height, part)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    image.info.update(as_info(resized(file.metadata, *image.size) if part else file.metadata))
    return image


def decompress_layers(
    chunks: Iterable[bytes],
    *,
    model: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    max_pixels: int = MAX_PIXELS_OF_ALL_LAYERS,
) -> Iterator[Image.Image]:
    """Yields the picture after each layer of an ``.rnnc`` file whose bytes arrive in ``chunks``, as from a network.
    Each picture is decoded as soon as its layer is whole. Other arguments are those of `decompress`.

    The network's states of the whole picture are kept from one layer to the next. So the memory grows with the picture,
    and the default of ``max_pixels`` is a quarter of that of `decompress`.

    If the file ends early or is damaged, there are fewer pictures, and a warning. The pictures are without metadata
    and alpha, which come last.

    Raises:
        FormatError: not an ``.rnnc`` file, or it has no whole layer, or its picture is too large.
        WrongModelError: the file was written with other weights.
        ModelError: ``model`` cannot be found or read.
        ConfigurationError: the device cannot be used, or onnxruntime, which an exported network needs, is missing.
    """
    reader = bitstream.Reader(chunks)
    check_size(reader.header, max_pixels)
    decoder = decoder_for(reader.header, None if model is None else str(model), device)
    decoded = 0
    for pixels in decoder.decode_layers(reader.header, reader):
        decoded += 1
        yield Image.fromarray(pixels)
    if not decoded:
        raise FormatError(f"nothing can be decoded: {reader.damage}")
    if reader.damage:
        warnings.warn(f"decoded {decoded} of {counted(reader.header.layers, 'layer')}: {reader.damage}", stacklevel=2)
