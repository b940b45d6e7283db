import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from PIL.ExifTags import IFD, Base

from rnncodec.errors import OutputError
from rnncodec.fileformat.metadata import MAX_SIZE, NO_METADATA, Metadata
from rnncodec.pictures.pillow_metadata import as_info, encode, metadata_of, resized
from rnncodec.pictures.pixels import open_image, srgb_profile, to_pixels

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
UPRIGHT_XMP = XMP.replace(b'"6"', b'"1"')


def exif_of_a_photo(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Artist], exif[Base.Orientation] = "Ada", orientation
    exif[IFD.Exif] = {Base.LensModel: "50 mm"}
    exif[IFD.GPSInfo] = {1: "N", 2: (48.0, 51.0, 30.0)}
    return exif


def described(exif: Image.Exif) -> tuple[Any, ...]:
    return exif.get(Base.Artist), exif.get_ifd(IFD.Exif).get(Base.LensModel), exif.get_ifd(IFD.GPSInfo).get(1)


def saved(format_name: str, **options: Any) -> Image.Image:
    buffer = io.BytesIO()
    PICTURE.save(buffer, format_name, **options)
    return open_image(buffer)


def with_xmp_in_png() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return text


@pytest.mark.parametrize(
    ("format_name", "options"),
    [("JPEG", {"xmp": XMP}), ("WEBP", {"xmp": XMP}), ("AVIF", {"xmp": XMP}), ("PNG", {"pnginfo": with_xmp_in_png()})],
)
def test_exif_and_xmp_and_the_tag_of_a_profile_are_taken_from_files(format_name: str, options: dict[str, Any]) -> None:
    image = saved(format_name, exif=exif_of_a_photo(), icc_profile=srgb_profile(), **options)
    pixels, _ = to_pixels(image)
    metadata, notes = metadata_of(image, pixels)
    assert pixels.shape == (30, 20, 3)
    assert notes == []
    assert metadata.srgb
    assert metadata.xmp == UPRIGHT_XMP
    exif = Image.Exif()
    exif.load(metadata.exif)
    assert described(exif) == ("Ada", "50 mm", "N")
    assert exif.get(Base.Orientation, 1) == 1


def test_of_a_tiff_file_the_tags_that_describe_the_picture_are_taken() -> None:
    image = saved("TIFF", exif=exif_of_a_photo().tobytes(), icc_profile=srgb_profile())
    metadata, notes = metadata_of(image, to_pixels(image)[0])
    exif = Image.Exif()
    exif.load(metadata.exif)
    assert described(exif) == ("Ada", "50 mm", "N")
    assert set(exif) == {Base.Artist, IFD.Exif, IFD.GPSInfo}
    assert (metadata.srgb, notes) == (True, [])


def test_an_image_without_metadata_gives_none() -> None:
    assert metadata_of(PICTURE, to_pixels(PICTURE)[0]) == (NO_METADATA, [])


def test_metadata_that_cannot_be_kept_are_left_out_and_noted() -> None:
    image = PICTURE.copy()
    image.info = {"exif": b"Exif\0\0no TIFF stream", "xmp": bytes(MAX_SIZE + 1)}
    assert metadata_of(image, to_pixels(PICTURE)[0]) == (
        NO_METADATA,
        [
            "EXIF data that are not a TIFF stream are left out",
            "XMP data of 16,777,217 bytes are left out; 16,777,216 fit into a file",
        ],
    )


def test_exif_data_that_do_not_shrink_below_the_limit_are_left_out() -> None:
    image = PICTURE.copy()
    image.info = {"exif": b"Exif\0\0II*\0\x08\0\0\0" + np.random.default_rng(0).bytes(MAX_SIZE - 8)}
    metadata, notes = metadata_of(image, to_pixels(PICTURE)[0])
    assert (metadata, len(notes)) == (NO_METADATA, 1)
    assert "are left out" in notes[0]


METADATA = Metadata(exif_of_a_photo(orientation=1).tobytes()[6:], UPRIGHT_XMP, srgb=True)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_metadata_are_written_into_pictures(format_name: str) -> None:
    content, notes = encode(PICTURE, format_name, METADATA)
    image = Image.open(io.BytesIO(content))
    assert notes == []
    assert (image.format, image.info["icc_profile"]) == (format_name, srgb_profile())
    assert described(image.getexif()) == ("Ada", "50 mm", "N")
    assert image.info["xmp"] == UPRIGHT_XMP


@pytest.mark.parametrize(
    ("format_name", "options"), [("JPEG", {"quality": 95}), ("PNG", {"compress_level": 3}), ("BMP", {})]
)
def test_pictures_without_metadata_are_written_as_by_pillow(format_name: str, options: dict[str, int]) -> None:
    buffer = io.BytesIO()
    PICTURE.save(buffer, format_name, **options)
    assert encode(PICTURE, format_name, NO_METADATA) == (buffer.getvalue(), [])


@pytest.mark.parametrize("xmp", [b"", UPRIGHT_XMP])
def test_exif_tags_on_the_pixels_of_another_file_do_not_reach_a_tiff_file(xmp: bytes) -> None:
    exif = exif_of_a_photo(orientation=1)
    others = {256: 400, 257: 300, 262: 6, 273: 8, 277: 1, 278: 1, 279: 5, 317: 2, 322: 16, 323: 16, 338: 2, 339: 3}
    for tag, value in others.items():
        exif[tag] = value
    content, notes = encode(PICTURE, "TIFF", Metadata(exif.tobytes()[6:], xmp))
    image = Image.open(io.BytesIO(content))
    assert notes == []
    assert np.array_equal(np.asarray(image), np.asarray(PICTURE))
    assert described(image.getexif()) == ("Ada", "50 mm", "N")
    assert image.info.get("xmp", b"") == xmp


def test_what_a_format_does_not_hold_is_noted() -> None:
    content, notes = encode(PICTURE, "BMP", METADATA)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(PICTURE))
    assert notes == ["its metadata are left out: BMP files are written without"]
    content, notes = encode(PICTURE, "JPEG", Metadata(METADATA.exif, bytes(65_505)))
    assert notes == ["XMP data of 65,505 bytes do not fit into a JPEG file"]
    assert described(Image.open(io.BytesIO(content)).getexif()) == ("Ada", "50 mm", "N")
    assert encode(PICTURE, "JPEG", Metadata(b"II*\0" + bytes(65_523), bytes(65_504)))[1] == []
    assert encode(PICTURE, "JPEG", Metadata(b"II*\0" + bytes(65_524)))[1] != []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF"])
@given(
    st.builds(
        Metadata,
        exif=st.binary(max_size=60).map(lambda rest: b"II*\0" + rest) | st.binary(max_size=60),
        xmp=st.binary(max_size=60),
        srgb=st.booleans(),
    )
)
def test_a_picture_is_written_with_any_metadata(format_name: str, metadata: Metadata) -> None:
    content, _ = encode(PICTURE, format_name, metadata)
    assert Image.open(io.BytesIO(content)).size == PICTURE.size


@pytest.mark.parametrize(("format_name", "size"), [("WEBP", (20_000, 1)), ("JPEG", (70_000, 1)), ("XBM", (8, 8))])
def test_a_picture_that_a_format_cannot_hold_is_told(format_name: str, size: tuple[int, int]) -> None:
    for metadata in (NO_METADATA, METADATA):
        with pytest.raises(OutputError, match=f"{format_name} files cannot hold this picture"):
            encode(Image.new("RGB", size), format_name, metadata)


def test_metadata_of_a_part_name_its_size() -> None:
    exif = exif_of_a_photo(orientation=1)
    exif[IFD.Exif] = {0xA002: 30, 0xA003: 20}
    xmp = b'<x tiff:ImageWidth="30" tiff:ImageLength="20"/>'
    part = resized(Metadata(exif.tobytes()[6:], xmp), 8, 6)
    found = Image.Exif()
    found.load(part.exif)
    assert (found.get_ifd(IFD.Exif)[0xA002], found.get_ifd(IFD.Exif)[0xA003]) == (8, 6)
    assert part.xmp == b'<x tiff:ImageWidth="8" tiff:ImageLength="6"/>'


def test_the_info_of_an_image_has_only_what_there_is() -> None:
    assert as_info(NO_METADATA) == {}
    assert as_info(Metadata(exif=b"II*\0")) == {"exif": b"Exif\0\0II*\0"}
    assert as_info(METADATA).keys() == {"exif", "xmp", "icc_profile"}
