"""The metadata of an image of Pillow ↔ those of a file."""

import io
from dataclasses import replace
from typing import Any

from PIL import Image, PngImagePlugin
from PIL.ExifTags import IFD, Base

from rnncodec.errors import OutputError
from rnncodec.fileformat.metadata import MAX_SIZE, Metadata
from rnncodec.pictures.colours import profile_of, srgb_profile
from rnncodec.pictures.exif import corrected_exif, corrected_xmp, is_exif
from rnncodec.pictures.pixels import Pixels, over_white
from rnncodec.pictures.tiles import Region
from rnncodec.pictures.transparency import unpack_alpha, with_alpha

PREFIX = b"Exif\0\0"  # before EXIF data in a JPEG file, and in Pillow

# Of a TIFF file, whose tags also say where its pixels are and how they are coded: those that describe the picture.
DESCRIPTIVE = (
    Base.DocumentName,
    Base.ImageDescription,
    Base.Make,
    Base.Model,
    Base.XResolution,
    Base.YResolution,
    Base.ResolutionUnit,
    Base.Software,
    Base.DateTime,
    Base.Artist,
    Base.HostComputer,
    Base.Rating,
    Base.RatingPercent,
    Base.Copyright,
    Base.XPTitle,
    Base.XPComment,
    Base.XPAuthor,
    Base.XPKeywords,
    Base.XPSubject,
)

# The formats of Pillow that are written with metadata. A JPEG file has at most so many bytes of each.
HOLDERS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "JXL")
ALPHA_HOLDERS = ("PNG", "WEBP", "AVIF", "TIFF", "JXL")  # those that are written with alpha
JPEG_LIMITS = {"exif": 65_533, "xmp": 65_504}
PNG_LEVEL = 3  # of zlib, from 0 to 9. Pillow's 6 takes three times as long, and saves 0 to 5 % of the bytes


def metadata_of(image: Image.Image, pixels: Pixels) -> tuple[Metadata, list[str]]:
    """The metadata of the file of an image whose pixels are ``pixels`` ``[H, W, 3]``, upright and in sRGB, and notes on
    what was left out."""
    height, width = pixels.shape[:2]
    srgb, notes = bool(profile_of(image)[0]), []
    exif, xmp = _exif(image), _xmp(image)
    if exif and not is_exif(exif):
        notes.append("EXIF data that are not a TIFF stream are left out")
        exif = b""
    corrected = {
        "exif": corrected_exif(exif, width, height, srgb) if exif else b"",
        "xmp": corrected_xmp(xmp, width, height, srgb),
    }
    for name, value in corrected.items():
        try:
            Metadata(exif=value).blocks()  # XMP data are packed likewise
        except ValueError:  # too large, or too large when it is packed
            notes.append(f"{name.upper()} data of {len(value):,} bytes are left out; {MAX_SIZE:,} fit into a file")
            corrected[name] = b""
    return Metadata(corrected["exif"], corrected["xmp"], srgb), notes


def resized(metadata: Metadata, width: int, height: int) -> Metadata:
    """The metadata of a file for a part of its picture, or for a smaller one, of ``width`` × ``height`` pixels."""
    exif, xmp = metadata.exif, metadata.xmp
    exif = corrected_exif(exif, width, height, False) if is_exif(exif) else exif
    return replace(metadata, exif=exif, xmp=corrected_xmp(xmp, width, height, False))


def _exif(image: Image.Image) -> bytes:
    """The EXIF data of an image as a TIFF stream; nothing if there are none, or if they are broken."""
    exif = image.info.get("exif")
    if not isinstance(exif, bytes):  # a text of a PNG file may have this name
        exif = _rewritten_exif(image)
    while exif.startswith(PREFIX):
        exif = exif[len(PREFIX) :]
    return bytes(exif)


def _rewritten_exif(image: Image.Image) -> bytes:
    """The descriptive tags of a TIFF file, or of a PNG file whose EXIF data are text, as EXIF data."""
    try:
        kept = _descriptive(image.getexif())
        return kept.tobytes() if len(kept) else b""
    except Exception:  # broken EXIF data raise many kinds of errors
        return b""


def _descriptive(exif: Image.Exif) -> Image.Exif:
    """EXIF data without the tags that belong to the file that they come from, and not to the picture."""
    kept = Image.Exif()
    for tag in DESCRIPTIVE:
        if tag in exif:
            kept[tag] = exif[tag]
    for directory in (IFD.Exif, IFD.GPSInfo):
        values = {tag: value for tag, value in exif.get_ifd(directory).items() if tag != IFD.Interop}
        if values:
            kept[directory] = values
    return kept


def _xmp(image: Image.Image) -> bytes:
    """The XMP packet of an image; nothing if there is none."""
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    return xmp if isinstance(xmp, bytes) else b""  # the tag of a TIFF file may have any type


def as_info(metadata: Metadata) -> dict[str, bytes]:
    """The metadata as the ``info`` of an image has them, and as options of ``Image.save``."""
    info = {"exif": PREFIX + metadata.exif if metadata.exif else b"", "xmp": metadata.xmp}
    info["icc_profile"] = srgb_profile() if metadata.srgb else b""
    return {name: value for name, value in info.items() if value}


def picture_of(
    pixels: Pixels, metadata: Metadata, width: int, height: int, region: Region | None = None
) -> tuple[Image.Image, list[str]]:
    """The image of decoded ``pixels`` ``[H, W, 3]``, of mode RGBA if the ``metadata`` of their file have an alpha, and
    a note if that cannot be read. The picture of the file has ``width`` × ``height`` pixels, of which ``pixels`` are
    all, or those in ``region``."""
    if not metadata.alpha:
        return Image.fromarray(pixels), []
    alpha = unpack_alpha(metadata.alpha, width, height)
    if alpha is None:
        return Image.fromarray(pixels), ["its transparency is damaged; it is shown over white"]
    return with_alpha(pixels, alpha if region is None else alpha[region.window(width, height)]), []


def encode(image: Image.Image, format_name: str, metadata: Metadata, software: str = "") -> tuple[bytes, list[str]]:
    """The file of an image in a format of Pillow, with ``metadata``, and notes on what was left out. ``software`` is
    what a PNG file names as its origin.

    Raises:
        OutputError: the format cannot hold the picture, which may be too large for it.
    """
    options: dict[str, Any] = as_info(metadata)
    notes = []
    if image.mode == "RGBA" and format_name not in ALPHA_HOLDERS:
        image = over_white(image)
        notes.append(f"transparency is flattened onto white: {format_name} files are written without")
    if options and format_name not in HOLDERS:
        options = {}
        notes.append(f"its metadata are left out: {format_name} files are written without")
    if format_name == "JPEG":
        for name, limit in JPEG_LIMITS.items():
            if len(options.get(name, b"")) > limit:
                notes.append(f"{name.upper()} data of {len(options.pop(name)):,} bytes do not fit into a JPEG file")
    try:
        return _saved(image, format_name, _tagged(format_name, options, software)), notes
    except Exception as error:  # some formats read EXIF data, and broken ones raise many kinds of errors
        try:
            content = _saved(image, format_name, _tagged(format_name, {}, software))
        except Exception as again:
            raise OutputError(f"{format_name} files cannot hold this picture ({again})") from None
        return content, [*notes, f"its metadata are left out: they could not be written ({error})"]


def _tagged(format_name: str, options: dict[str, Any], software: str) -> dict[str, Any]:
    """The options of ``Image.save`` for a format, with the XMP packet where PNG and TIFF files have it: in a text, and
    in a tag; and with ``software`` in a text of a PNG file. Pillow would write all tags of the EXIF data as those of a
    TIFF file, also those that say how another file's pixels are coded: these are left out."""
    others, xmp = options.copy(), options.get("xmp")
    if format_name == "PNG":
        text = PngImagePlugin.PngInfo()
        if software:
            text.add_text("Software", software)
        if xmp:
            text.add_itxt("XML:com.adobe.xmp", others.pop("xmp").decode(errors="replace"))
        return others | {"pnginfo": text, "compress_level": PNG_LEVEL}
    if format_name != "TIFF":
        return options
    found, exif = Image.Exif(), Image.Exif()
    found.load(others.pop("exif", b""))
    exif.load(_descriptive(found).tobytes())  # Pillow writes directories alone that it has read
    if xmp:
        exif[Base.XMLPacket] = others.pop("xmp")
    return others | {"exif": exif}


def _saved(image: Image.Image, format_name: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, quality=95, **options)
    return buffer.getvalue()
