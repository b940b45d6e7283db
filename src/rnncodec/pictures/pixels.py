"""Image files ↔ uint8 arrays ``[H, W, 3]``, RGB in sRGB."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from rnncodec.errors import ImageError, RnncodecError
from rnncodec.pictures.colour_tags import KEY, colour_codes, profile_in_jpeg_2000
from rnncodec.pictures.colours import profile_of, srgb_profile, to_srgb
from rnncodec.pictures.limits import MAX_PIXELS, RAISING, too_large
from rnncodec.pictures.plugins import plugin_for_content, register_plugins

Pixels = NDArray[np.uint8]

BAND = 256  # rows

UNREADABLE = ("BUFR", "GRIB", "HDF5", "MPEG")  # formats that Pillow opens, but whose pictures it cannot read

RAW_PHOTO = "a raw photo, of which only a preview can be read; export it as JPEG, PNG or TIFF first"
REDUCED = 1  # the bit of the tag NewSubfileType by which a picture is a smaller copy of another one in the file

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
    """As `to_pixels_and_alpha`, but without the alpha: that transparency was flattened is one of the notes."""
    pixels, alpha, notes = to_pixels_and_alpha(image)
    return pixels, notes if alpha is None else [*notes, "transparency is flattened onto white"]


def to_pixels_and_alpha(image: Image.Image) -> tuple[Pixels, Pixels | None, list[str]]:
    """The pixels of an image in any mode of Pillow, as uint8 RGB ``[H, W, 3]`` over white; its alpha, uint8 ``[H, W]``,
    or None if all of it is opaque; and notes on what was lost.

    EXIF orientation is applied, the colours that the file names are converted to sRGB, and 16-bit or float samples are
    reduced to 8 bits. Of an animation only the first frame is used.
    """
    frames = _frames(image)
    notes = [f"only the first of {frames} frames is kept"] if frames > 1 else []
    profile, unconverted = profile_of(image)  # before the file is closed
    notes += unconverted
    scale_transparent_colour(image)
    image.load()  # a TIFF turns itself upright here
    turn = TURNS.get(orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I") or image.mode == "F":
        notes.append("16-bit or float samples become 8-bit")
        image = _to_8_bits(image)
    image, alpha = _split(image)
    if profile and profile != srgb_profile():
        image = to_srgb(image, profile, notes)
    image = image.convert("RGB")
    opacity = None if alpha is None else np.asarray(alpha)
    if alpha is None or opacity is None or (opacity == 255).all():
        return np.asarray(image), None, notes
    image.putalpha(alpha)
    return np.asarray(over_white(image)), opacity, notes


def over_white(image: Image.Image) -> Image.Image:
    """An image of mode RGBA as it looks on white, in mode RGB."""
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _frames(image: Image.Image) -> int:
    """The number of frames, as far as Pillow can count them. Those of a PSD file are layers of one picture, which it
    holds as a whole, too."""
    if image.format == "PSD":
        return 1
    try:
        return getattr(image, "n_frames", 1)
    except Exception:  # the first frame can be whole although others raise many kinds of errors
        return 1


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours of an image, and its alpha channel, of mode L, or None."""
    key = image.info.get("transparency")  # a colour, or the opacity of each colour of a palette
    if key is not None and not isinstance(key, int | bytes | tuple):  # a text of a PNG file may have this name
        image = image.copy()
        del image.info["transparency"]
    if not image.has_transparency_data:
        return image, None
    grey = image.mode in ("L", "LA", "La")
    image = image.convert("LA" if grey else "RGBA")
    return image.convert("L" if grey else "RGB"), image.getchannel("A")


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, from 1 (upright) to 8; 1 if there is none, or if the EXIF data are broken. JPEG XL has an
    orientation of its own, by which its decoder turns a picture, unless it is a JPEG that was packed."""
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        return 1
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken EXIF data raise many kinds of errors
        return 1
    return found if found in TURNS else 1


def scale_transparent_colour(image: Image.Image) -> None:
    """Give the transparent colour of a PNG file the range of the samples that Pillow makes of it, 8 bits. Pillow leaves
    it as it is in the file. The image must not be loaded yet: then its samples are known no more."""
    key = image.info.get("transparency")
    tile = getattr(image, "tile", None) if image.format == "PNG" else None
    samples = tile[0].args if tile else None
    if isinstance(key, int) and samples in ("L;2", "L;4"):
        image.info["transparency"] = key * (85 if samples == "L;2" else 17)
    elif isinstance(key, tuple) and samples == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """16-bit samples, which Pillow has in the mode I too, or float samples, as 8-bit samples in grey, with alpha if the
    file names a transparent one."""
    samples = np.asarray(image)
    top = _white(samples) if image.mode == "F" else 2.0 ** _depth(image) - 1.0
    grey = np.empty(samples.shape, np.uint8)
    for rows in bands(len(samples)):  # float64 takes eight times the memory
        wide = np.nan_to_num(samples[rows].astype(np.float64), nan=0.0, posinf=top, neginf=0.0)
        grey[rows] = wide.clip(0.0, top) * (255.0 / top) + 0.5
    if _tag(image, ExifTags.Base.PhotometricInterpretation) == 0:  # 0 is white, which Pillow heeds in 8 bits alone
        grey = 255 - grey
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return Image.fromarray(grey)
    return Image.fromarray(np.dstack([grey, np.where(samples == key, 0, 255).astype(np.uint8)]))


def bands(height: int) -> Iterator[slice]:
    """The rows of a picture in parts of at most BAND, so that what is computed of each takes little memory."""
    return (slice(start, start + BAND) for start in range(0, height, BAND))


def _depth(image: Image.Image) -> int:
    """The bits of a sample: 16, unless a TIFF file says that they are fewer."""
    found = _tag(image, ExifTags.Base.BitsPerSample)
    depth = found[0] if isinstance(found, tuple) and found else 16
    return depth if isinstance(depth, int) and 8 < depth < 16 else 16


def _tag(image: Image.Image, tag: int) -> Any:
    """A tag of a TIFF file; None if it has no such tag, or in other files."""
    return getattr(image, "tag_v2", {}).get(tag)


def _white(samples: NDArray[np.float32]) -> float:
    """The value of white among float samples, whose range no file says: 1, 255 or 65535. A few samples may be brighter,
    or not finite."""
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return 1.0
    bright = np.percentile(finite, 99.0, method="lower")
    return next((white for white in (1.0, 255.0) if bright <= 4.0 * white), 65535.0)


_pillow_limit = threading.RLock()  # to decode a file may open another one, that of its alpha


@contextmanager
def pillows_limit(max_pixels: int) -> Iterator[None]:
    """Inside the block Pillow raises DecompressionBombError for pictures of more than twice ``max_pixels``, also for
    those within the files of icons, of which the size is not known before."""
    with _pillow_limit, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
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
    if isinstance(source, bytes | bytearray | memoryview):
        raise ImageError("these bytes are no name of a file; open them with PIL.Image.open(io.BytesIO(…))")
    if not isinstance(source, str | os.PathLike) and not hasattr(source, "read"):
        raise ImageError(
            f"{type(source).__name__} is no image and no name of a file; for arrays see PIL.Image.fromarray"
        )
    prefix = "" if hasattr(source, "read") else f"{source}: "
    try:
        register_plugins()
        with pillows_limit(max_pixels):
            image = Image.open(source)
            complaint = RAW_PHOTO if _is_preview(image) else too_large(*image.size, max_pixels)
            if complaint is None:
                codes, profile = colour_codes(image), profile_in_jpeg_2000(image)
                scale_transparent_colour(image)
                image.load()
                if codes is not None:
                    image.info[KEY] = tuple(codes)  # the image keeps them, its file is closed
                if profile is not None:
                    image.info["icc_profile"] = profile
    except FileNotFoundError:
        raise ImageError(f"{prefix}no such file") from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"{prefix}it holds a picture of more pixels than the limit of {max_pixels:,}; {RAISING}"
        ) from None
    except UnidentifiedImageError:
        install = plugin_for_content(_start(source))
        raise ImageError(
            f"{prefix}not an image that Pillow can read" + (f"; for files of its kind: {install}" if install else "")
        ) from None
    except Exception as error:  # the decoders of Pillow raise many kinds of errors
        raise ImageError(f"{prefix}cannot be read ({error})") from None
    if complaint is not None:
        raise ImageError(f"{prefix}{complaint}")
    return image


def check_image(image: Image.Image, max_pixels: int = MAX_PIXELS) -> None:
    """Decode all of an ``image`` that is open already.

    Raises:
        ImageError: it is broken or closed, has no pixels, or more than ``max_pixels``.
    """
    if 0 in image.size:
        raise ImageError("the image has no pixels")
    if complaint := too_large(*image.size, max_pixels):
        raise ImageError(complaint)
    try:
        image.load()
    except RnncodecError:
        raise
    except Exception as error:  # the decoders of Pillow raise many kinds of errors
        raise ImageError(f"the image cannot be read ({error})") from None


def _is_preview(image: Image.Image) -> bool:
    """Whether a file is a raw photo, as NEF and DNG: a TIFF file whose first picture is a small copy of another."""
    kind, others = _tag(image, ExifTags.Base.NewSubfileType), _tag(image, ExifTags.Base.SubIFDs)
    small = isinstance(kind, int) and bool(kind & REDUCED) and others is not None
    return small or _tag(image, ExifTags.Base.DNGVersion) is not None


def _start(source: str | os.PathLike[str] | BinaryIO) -> bytes:
    """The first bytes of a file that was opened before."""
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            return file.read(12)
    source.seek(0)
    return source.read(12)


def read_pixels(source: str | os.PathLike[str] | BinaryIO, max_pixels: int = MAX_PIXELS) -> Pixels:
    """The pixels of an image file, without the notes of `to_pixels`. Raises ImageError as `open_image` does."""
    return to_pixels(open_image(source, max_pixels))[0]


def amplified_residual(image: Pixels, reconstruction: Pixels) -> Pixels:
    """A picture of what ``reconstruction`` still lacks: AMPLIFICATION times the residual, around mid-grey."""
    residual = image.astype(np.float32) - reconstruction.astype(np.float32)
    return np.clip(AMPLIFICATION * residual + 127.5, 0, 255).round().astype(np.uint8)


def is_image_name(path: str | os.PathLike[str]) -> bool:
    """Whether Pillow can read pictures from files with the ending of this name. Names that begin with ``._`` are those
    of macOS for what belongs to the file of the other name, as on memory cards."""
    register_plugins()
    path = Path(path)
    kind = Image.registered_extensions().get(path.suffix.lower())
    return kind in Image.OPEN and kind not in UNREADABLE and not path.name.startswith("._")
