"""Image files ↔ uint8 arrays ``[H, W, 3]``, RGB in sRGB."""

import functools
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from rnncodec.errors import DataError, ImageError
from rnncodec.pictures.limits import MAX_PIXELS, too_large

Pixels = NDArray[np.uint8]

AMPLIFICATION = 4.0  # of residuals in pictures of them

TURNS = {  # by EXIF orientation; ImageOps.exif_transpose also rewrites the EXIF data, and fails if they are broken
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_pixels(image: Image.Image) -> tuple[Pixels, list[str]]:
    """The pixels of an image in any mode of Pillow, as uint8 RGB ``[H, W, 3]``, and notes on what was lost.

    EXIF orientation is applied, an ICC profile is converted to sRGB, transparency is flattened onto white, and 16-bit
    or float samples are reduced to 8 bits. Of an animation only the first frame is used.
    """
    notes = []
    if getattr(image, "n_frames", 1) > 1:
        notes.append(f"only the first of {image.n_frames} frames is kept")  # type: ignore[attr-defined]
    image.load()  # a TIFF turns itself upright here
    turn = TURNS.get(orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        notes.append("16-bit or float samples become 8-bit")
        image = _to_8_bits(image)
    if image.has_transparency_data:
        notes.append("transparency is flattened onto white")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if profile and profile != srgb_profile():
        if image.mode == "P":
            image = image.convert("RGB")
        image = _to_srgb(image, profile, notes)
    return np.asarray(image.convert("RGB")), notes


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, from 1 (upright) to 8; 1 if there is none, or if the EXIF data are broken."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken EXIF data raise many kinds of errors
        return 1
    return found if found in TURNS else 1


def _to_8_bits(image: Image.Image) -> Image.Image:
    samples = np.asarray(image).astype(np.float64)
    # Pillow opens 16-bit files as I;16 or I. Float files do not say their range; [0, 1] is usual.
    top = 1.0 if image.mode == "F" and samples.max(initial=0.0) <= 1.0 else 65535.0 if samples.max() > 255 else 255.0
    if image.mode.startswith("I;16"):
        top = 65535.0
    return Image.fromarray(np.clip(samples * (255.0 / top) + 0.5, 0, 255).astype(np.uint8))


@functools.cache
def srgb_profile() -> bytes:
    """The bytes of an ICC profile of sRGB, the same every time."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes(12) + profile[36:]  # without the time of its creation


def _to_srgb(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        notes.append(f"the colour profile could not be applied ({error}); its samples are taken as sRGB")
        return image
    assert converted is not None  # only inPlace=True returns None
    return converted


_pillow_limit = threading.Lock()


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Inside the block Pillow opens files of any size: `open_image` has a limit of its own, which users can raise."""
    with _pillow_limit:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def open_image(source: str | os.PathLike[str] | BinaryIO, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open an image file and decode all of it, so that a broken file is found here.

    Raises:
        ImageError: the file is missing, not an image, or broken, or it has more than ``max_pixels`` pixels, which is
            checked before they are decoded. The message names the file, if it has a name.
    """
    prefix = "" if hasattr(source, "read") else f"{source}: "
    try:
        with _without_pillows_limit():
            image = Image.open(source)
            complaint = too_large(*image.size, max_pixels)
            if complaint is None:
                image.load()
    except FileNotFoundError:
        raise ImageError(f"{prefix}no such file") from None
    except UnidentifiedImageError:
        raise ImageError(f"{prefix}not an image that Pillow can read") from None
    except Exception as error:  # the decoders of Pillow raise many kinds of errors
        raise ImageError(f"{prefix}cannot be read ({error})") from None
    if complaint is not None:
        raise ImageError(f"{prefix}{complaint}")
    return image


def read_pixels(source: str | os.PathLike[str] | BinaryIO, max_pixels: int = MAX_PIXELS) -> Pixels:
    """The pixels of an image file, without the notes of `to_pixels`. Raises ImageError as `open_image` does."""
    return to_pixels(open_image(source, max_pixels))[0]


def amplified_residual(image: Pixels, reconstruction: Pixels) -> Pixels:
    """A picture of what ``reconstruction`` still lacks: AMPLIFICATION times the residual, around mid-grey."""
    residual = image.astype(np.float32) - reconstruction.astype(np.float32)
    return np.clip(AMPLIFICATION * residual + 127.5, 0, 255).round().astype(np.uint8)


def is_image_name(path: str | os.PathLike[str]) -> bool:
    """Whether Pillow can open files with the ending of this name."""
    return Image.registered_extensions().get(Path(path).suffix.lower()) in Image.OPEN


def find_images(folder: Path) -> list[Path]:
    """The images in ``folder``, sorted by name. Raises DataError if there is none."""
    paths = sorted(path for path in folder.iterdir() if is_image_name(path)) if folder.is_dir() else []
    if not paths:
        raise DataError(f"no images in {folder}")
    return paths
