"""From the colours of an image file to sRGB."""

import functools
import io
import math
import struct

import numpy as np
from PIL import Image, ImageChops, ImageCms

from rnncodec.pictures.colour_codes import HDR, SRGB_PRIMARIES, WHITE, ColourCodes, Transfer, power, rgb_profile, srgb
from rnncodec.pictures.colour_tags import colour_codes, profile_in_jpeg_2000

CLOSE = 0.01  # a gamma of 1 / 2.2 and chromaticities that are rounded are meant as sRGB


@functools.cache
def srgb_profile() -> bytes:
    """The bytes of an ICC profile of sRGB, the same every time."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes(12) + profile[36:]  # without the time of its creation


def profile_of(image: Image.Image) -> tuple[bytes | None, list[str]]:
    """The ICC profile of an image's samples, None for sRGB, and notes on what cannot be converted.

    A profile in the file comes before numbers (see `rnncodec.pictures.colour_codes`), but in a PNG file these come
    first, as its specification says. The primaries and the gamma of a PNG file come last. An image that names no
    colours is in sRGB.
    """
    profile, codes = image.info.get("icc_profile") or profile_in_jpeg_2000(image), colour_codes(image)
    if profile is not None and not isinstance(profile, bytes):
        return None, ["its colour profile is no ICC profile; its samples are taken as sRGB"]
    if codes is not None and (image.format == "PNG" or not profile):
        return _profile_of_codes(codes)
    if profile or isinstance(image.info.get("srgb"), int):
        return profile or None, []
    return _profile_of_gamma(image), []


def _profile_of_codes(codes: ColourCodes) -> tuple[bytes | None, list[str]]:
    notes = []
    if codes.transfer in HDR:
        notes.append(f"of its high dynamic range ({HDR[codes.transfer]}), all above {WHITE:g} cd/m² becomes white")
    try:
        return codes.profile(), notes
    except KeyError:
        return None, [
            f"its colours, primaries {codes.primaries} and transfer function {codes.transfer} of ITU-T H.273, cannot "
            "be converted; its samples are taken as sRGB"
        ]


def _profile_of_gamma(image: Image.Image) -> bytes | None:
    """The profile of the primaries and the gamma that a PNG file names, in its chunks cHRM and gAMA."""
    gamma, found = image.info.get("gamma"), image.info.get("chromaticity")
    primaries = SRGB_PRIMARIES
    transfer: Transfer = srgb
    if isinstance(found, tuple) and len(found) == 8:
        white, red, green, blue = zip(found[::2], found[1::2], strict=True)
        named = (red, green, blue, white)
        if any(math.dist(a, b) > CLOSE for a, b in zip(named, primaries, strict=True)):
            primaries = named
    if isinstance(gamma, float) and gamma > 0.0 and abs(2.2 * gamma - 1.0) > CLOSE:
        transfer = power(1.0 / gamma)
    if primaries == SRGB_PRIMARIES and transfer is srgb:
        return None
    try:
        with np.errstate(all="raise"):
            return rgb_profile(primaries, transfer)
    except (ArithmeticError, np.linalg.LinAlgError, struct.error):  # these are the primaries of no colours
        return None


def is_grey(image: Image.Image) -> bool:
    """Whether red, green and blue of an image of mode RGB are the same everywhere."""
    red, green, blue = image.split()
    return ImageChops.difference(red, green).getbbox() is None and ImageChops.difference(red, blue).getbbox() is None


def to_srgb(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """An image without transparency, from the colours of ``profile`` to sRGB. If the profile cannot be applied, the
    image stays as it is, and ``notes`` get one more."""
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "P" or image.mode == "YCbCr" or (image.mode == "L" and profile[16:20] == b"RGB "):
        image = image.convert("RGB")
    if image.mode == "RGB" and profile[16:20] == b"GRAY" and is_grey(image):
        image = image.convert("L")  # Pillow reads grey of 16 bits with alpha, and grey palettes, as RGB
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        notes.append(f"the colour profile could not be applied ({error}); its samples are taken as sRGB")
        return image
    assert converted is not None  # only inPlace=True returns None
    return converted
