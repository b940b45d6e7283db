"""A plugin of Pillow: after ``import rnncodec.pillow``, Pillow opens and saves ``.rnnc`` files.

    image = Image.open("photo.rnnc")         # size and metadata; the pixels are decoded when they are first used
    image.save("other.rnnc", quality=70)     # or bpp=, max_bytes=, psnr=, ms_ssim=, iterations=; model=, device=
    image.thumbnail((256, 256))              # decodes only the layers that a picture of this size needs

``save`` also takes ``exif=``, ``xmp=`` and ``icc_profile=``, as Pillow's own plugins do: EXIF and XMP data are written
only if they are given, and the profile is that of the image, unless another is given. The pixels of a file are upright
and in sRGB. So the orientation in ``exif`` is applied to the pixels, and the profile converts them.

``quality`` is from 1 to 100: see `rnncodec.compress`. ``save_all=True`` saves an image of one frame as without it, and
is refused for an image of several.

Of a file that was cut, ``verify`` raises OSError, and so does ``load``, unless ``ImageFile.LOAD_TRUNCATED_IMAGES`` is
set: then the picture is that of the whole layers, and black if there is none.

Pillow passes no options to ``Image.open``. They are variables of this module: MODEL, the weights that a file was
written with, is only needed for files of weights that are not released; DEVICE is the device that decodes; MAX_PIXELS
is the limit on the pixels of a file, in addition to Pillow's own.
"""

from __future__ import annotations  # Pillow has a type that exists only in its stubs

import io
import os
import warnings
from functools import partial
from typing import IO

from PIL import Image, ImageFile

from rnncodec.errors import ConfigurationError, FormatError
from rnncodec.fileformat import bitstream
from rnncodec.pictures.colour_tags import KEY, colour_codes, profile_in_jpeg_2000
from rnncodec.pictures.limits import MAX_PIXELS
from rnncodec.pictures.pillow_metadata import as_info, picture_of

MODEL: str | os.PathLike[str] | None = None
DEVICE = "cpu"

CHUNK = 1 << 16  # bytes that are read at a time
FORMAT, SUFFIX, MIME = "RNNC", ".rnnc", "image/x-rnnc"
OPTIONS = ("iterations", "bpp", "max_bytes", "psnr", "ms_ssim", "quality", "effort", "model", "device", "max_pixels")
COLOURS = (KEY, "gamma", "chromaticity")  # other names of colours in the info of an image
OF_FILE = ("tag_v2", "jpeg")  # what images of TIFF and JPEG XL files know of them, which copies do not
METADATA = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")  # their names in the info of an image


class RnncImageFile(ImageFile.ImageFile):
    """An ``.rnnc`` file that Pillow has opened."""

    format = FORMAT
    format_description = "Recurrent, progressive image compression"

    def _open(self) -> None:
        assert self.fp is not None
        chunks = iter(partial(self.fp.read, CHUNK), b"")  # no more than the file needs: what follows may have no end
        try:
            self._file = bitstream.Reader(chunks).file()
        except FormatError as error:
            raise SyntaxError(str(error)) from None  # Pillow tries its other formats
        self._size = (self._file.header.width, self._file.header.height)
        self._mode = "RGBA" if self._file.metadata.alpha else "RGB"
        self.info.update(as_info(self._file.metadata))
        self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)]
        self._layers = self._file.header.layers  # that are decoded, at most

    def verify(self) -> None:
        """Check the file without decoding its pixels.

        Raises:
            OSError: it was cut, or is damaged.
        """
        if not hasattr(self, "_file"):  # a copy by pickle holds the pixels, not the file
            return
        if self._file.damage:
            raise OSError(f"image file is broken: {self._file.damage}")
        super().verify()

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Decode only the layers that a picture scaled down to ``size``, in pixels, needs. The size of this
        image stays as it is. ``mode`` is not used."""
        if not self.tile or not size:
            return None
        from rnncodec.coding.small_pictures import layers_for

        scale = min(own / max(1.0, asked) for own, asked in zip(self.size, size, strict=True))
        self._layers = layers_for(self._file.header, scale)
        return self.mode, (0, 0, *self.size)

    def load(self) -> Image.core.PixelAccess | None:
        """Decode the pixels, unless that was done before.

        Raises:
            OSError: the file was cut, or is damaged, and ``ImageFile.LOAD_TRUNCATED_IMAGES`` is not set.
            FormatError: it has more than MAX_PIXELS pixels, or its layers do not belong to a picture of its size.
            WrongModelError: it was written with other weights.
        """
        if self.tile:
            from rnncodec.api import decoder_for
            from rnncodec.coding.base import check_size  # with the entropy coder

            if not self._file.whole and not ImageFile.LOAD_TRUNCATED_IMAGES:
                raise OSError(f"image file is truncated: {self._file.damage}")
            header, layers = self._file.header, self._file.layers[: self._layers]
            check_size(header, MAX_PIXELS, len(layers))
            pixels = b""
            if layers:
                decoder = decoder_for(header, None if MODEL is None else str(MODEL), DEVICE)
                shown = decoder.picture(header, layers)
                assert shown is not None  # there is a layer
                picture, notes = picture_of(shown, self._file.metadata, *self.size)
                for note in notes:
                    warnings.warn(note, stacklevel=2)
                pixels = picture.convert(self.mode).tobytes()
            if self.fp and self._exclusive_fp:
                self.fp.close()
            self.fp = io.BytesIO(pixels)
        return super().load()

    def load_seek(self, pos: int) -> None:
        """The pixels are read from memory, from their beginning, not from the file that was opened."""


def _accept(prefix: bytes) -> bool | str:
    """Whether a file begins like an ``.rnnc`` file; if it is one of another version, a message for the user."""
    if not prefix.startswith(bitstream.MAGIC):
        return False
    version = prefix[len(bitstream.MAGIC)] if len(prefix) > len(bitstream.MAGIC) else bitstream.VERSION
    if not 1 <= version <= bitstream.VERSION:
        return f"it is an .rnnc file of version {version}, and this rnncodec reads versions 1 to {bitstream.VERSION}"
    return True


def _save(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    from rnncodec.api import compress

    given = image.encoderinfo
    picture = image.copy()
    picture.info = {name: value for name, value in image.info.items() if name not in METADATA}
    picture.format = image.format
    for name in OF_FILE:
        if hasattr(image, name):
            setattr(picture, name, getattr(image, name))
    if "icc_profile" in given:
        for name in COLOURS:
            picture.info.pop(name, None)
    elif codes := colour_codes(image):
        picture.info[KEY] = tuple(codes)
    elif profile := profile_in_jpeg_2000(image):
        picture.info["icc_profile"] = profile
    for name in ("exif", "xmp", "icc_profile"):
        if name in given:
            value = given[name]
            picture.info[name] = value.tobytes() if isinstance(value, Image.Exif) else value or b""
    options = {name: given[name] for name in OPTIONS if name in given}
    fp.write(compress(picture, **options))


def _save_all(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    frames = getattr(image, "n_frames", 1) + len(list(image.encoderinfo.get("append_images", ())))
    if frames > 1:
        raise ConfigurationError(f"an .rnnc file holds one picture, not {frames}; save each to a file of its own")
    _save(image, fp, filename)


Image.register_open(FORMAT, RnncImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_save_all(FORMAT, _save_all)
Image.register_extension(FORMAT, SUFFIX)
Image.register_mime(FORMAT, MIME)
