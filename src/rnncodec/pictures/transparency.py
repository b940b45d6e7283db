"""The alpha of a picture ↔ the bytes that a file holds of it, and pictures with it. Alpha is uint8 ``[H, W]``: 0 is
transparent, 255 opaque. A file holds the colours over white, so that a picture without its alpha looks right."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rnncodec.fileformat.metadata import MAX_ALPHA
from rnncodec.pictures.pixels import Pixels, bands, pillows_limit

Alpha = NDArray[np.uint8]

MODES = ("1", "L", "RGB", "RGBA")  # of Pillow, for the PNG images that a file may hold


def pack_alpha(alpha: Alpha | None) -> tuple[bytes, list[str]]:
    """The PNG image of ``alpha``, nothing if it is None, and a note if it does not fit into a file."""
    if alpha is None:
        return b"", []
    image = Image.fromarray(alpha)
    if np.isin(alpha, (0, 255)).all():
        image = image.convert("1")  # a bit a pixel
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    if buffer.tell() > MAX_ALPHA:
        return b"", [f"transparency is flattened onto white: {buffer.tell():,} bytes of it do not fit into a file"]
    return buffer.getvalue(), []


def unpack_alpha(content: bytes, width: int, height: int) -> Alpha | None:
    """The alpha that `pack_alpha` packed for a picture of this size; None if ``content`` is nothing of this kind. Its
    size is compared before anything is decoded."""
    try:
        with pillows_limit(width * height):
            image = Image.open(io.BytesIO(content), formats=["PNG"])
            if image.size != (width, height) or image.mode not in MODES or getattr(image, "n_frames", 1) > 1:
                return None
            return np.asarray(image.convert("RGB").getchannel(0))
    except Exception:  # the decoders of Pillow raise many kinds of errors
        return None


def with_alpha(pixels: Pixels, alpha: Alpha) -> Image.Image:
    """The picture in mode RGBA that shows ``pixels`` ``[H, W, 3]`` over white. Where nothing shows, it is white."""
    shown = np.dstack([pixels, alpha])
    for rows in bands(len(alpha)):  # floats take four times the memory
        opacity = np.maximum(alpha[rows], 1)[..., None].astype(np.float32)
        missing = (255.0 - pixels[rows].astype(np.float32)) * (255.0 / opacity)  # from white
        colours = np.clip(255.0 - missing, 0.0, 255.0).round()
        shown[rows, :, :3] = np.where(alpha[rows, :, None] > 0, colours, 255.0)
    return Image.fromarray(shown)
