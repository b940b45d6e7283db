"""Colours that a file names otherwise than by an ICC profile."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

import rnncodec.pillow  # noqa: F401 (the plugin)
from rnncodec.pictures.colour_codes import PRIMARIES, TRANSFERS, ColourCodes
from rnncodec.pictures.pillow_metadata import metadata_of
from rnncodec.pictures.pixels import Pixels, open_image, read_pixels, to_pixels
from rnncodec.pictures.plugins import register_plugins

COLOURS = np.array([[(200, 60, 60), (60, 180, 80), (90, 90, 200), (128, 128, 128)]], np.uint8)
IN_P3 = [(217, 42, 52), (0, 183, 64), (90, 90, 207), (128, 128, 128)]  # these samples of Display P3, as sRGB
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290))
P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.3127, 0.3290))


def png(pixels: Pixels, *chunks: tuple[bytes, bytes], mode: str = "RGB") -> io.BytesIO:
    """A PNG file with these chunks before its pixels."""
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.quantize(16) if mode == "P" else image.convert(mode)).save(buffer, "PNG")
    content = buffer.getvalue()
    added = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return io.BytesIO(content[:33] + added + content[33:])  # behind IHDR


def cicp(primaries: int, transfer: int, full: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, full])


def gama(gamma: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(gamma * 100_000))


def chrm(*primaries: tuple[float, float]) -> tuple[bytes, bytes]:
    values = [round(value * 100_000) for point in (primaries[3], *primaries[:3]) for value in point]
    return b"cHRM", struct.pack(">8I", *values)


def nclx(pixels: Pixels, primaries: int, transfer: int) -> io.BytesIO:
    """An AVIF file whose box nclx has these numbers."""
    buffer = io.BytesIO()
    large = np.kron(pixels, np.ones((16, 16, 1), np.uint8))
    Image.fromarray(large).save(buffer, "AVIF", quality=100, subsampling="4:4:4")
    content = bytearray(buffer.getvalue())
    at = content.index(b"nclx") + 4
    content[at : at + 4] = struct.pack(">2H", primaries, transfer)
    return io.BytesIO(content)


def near(pixels: Pixels, expected: list[tuple[int, int, int]], abs_: int = 2) -> bool:
    return bool(np.abs(pixels[0].astype(int) - np.array(expected)).max() <= abs_)


def test_display_p3_by_numbers_is_converted_in_png_and_avif() -> None:
    assert near(read_pixels(png(COLOURS, cicp(12, 13))), IN_P3)
    assert near(read_pixels(nclx(COLOURS, 12, 13))[:, ::16], IN_P3, 4)
    assert near(read_pixels(png(COLOURS, chrm(*P3))), IN_P3)


@pytest.mark.parametrize(("primaries", "expected"), [(1, COLOURS[0].tolist()), (12, IN_P3)])
def test_heic_files_are_read_with_their_colours_and_upright(
    primaries: int, expected: list[tuple[int, int, int]]
) -> None:
    pytest.importorskip("pillow_heif")
    register_plugins()
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    large = Image.fromarray(np.kron(COLOURS, np.ones((64, 64, 1), np.uint8)))
    colours = {"color_primaries": primaries, "transfer_characteristics": 13}
    large.save(buffer, "HEIF", quality=100, chroma=444, exif=exif.tobytes(), **colours)
    pixels = read_pixels(buffer)
    assert pixels.shape == (256, 64, 3)
    assert near(pixels[32::64, 32][None], expected, 5)


def test_primaries_and_gamma_of_a_png_file_are_converted() -> None:
    assert near(read_pixels(png(COLOURS, chrm(*P3), gama(1 / 2.2))), IN_P3, 3)
    linear = read_pixels(png(COLOURS, gama(1.0)))
    light = COLOURS / 255.0
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(linear - expected).max() <= 2


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_any_mode_of_a_png_file_is_converted(mode: str) -> None:
    grey = np.full((2, 2, 3), 55, np.uint8)
    expected = 128 if mode != "1" else 0
    assert read_pixels(png(grey, gama(1.0), mode=mode))[0, 0].tolist() == pytest.approx([expected] * 3, abs=2)


@pytest.mark.parametrize(
    "chunks",
    [
        [cicp(1, 13)],
        [cicp(1, 1)],
        [cicp(2, 2)],
        [(b"sRGB", b"\0")],
        [(b"sRGB", b"\0"), chrm(*P3), gama(1.0)],
        [gama(0.45455)],
        [chrm(*SRGB), gama(0.45455)],
        [gama(0.0)],
        [chrm((0, 0), (0, 0), (0, 0), (0, 0))],
        [(b"cICP", b"\x0c")],
    ],
)
def test_srgb_by_any_name_and_what_means_nothing_change_nothing(chunks: list[tuple[bytes, bytes]]) -> None:
    pixels, notes = to_pixels(open_image(png(COLOURS, *chunks)))
    assert np.array_equal(pixels, COLOURS)
    assert notes == []


def with_icc(content: bytes, profile: bytes) -> io.BytesIO:
    """A JPEG 2000 file that names its colours by ``profile``."""
    header, named = content.index(b"jp2h") - 4, content.index(b"colr") - 4
    (length,), (own,) = struct.unpack_from(">I", content, header), struct.unpack_from(">I", content, named)
    box = struct.pack(">I4s3B", 11 + len(profile), b"colr", 2, 0, 0) + profile
    start = content[:header] + struct.pack(">I", length + len(box) - own) + content[header + 4 : named]
    return io.BytesIO(start + box + content[named + own :])


def test_the_profile_of_a_jpeg_2000_file_is_applied(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    large = np.kron(COLOURS, np.ones((16, 16, 1), np.uint8))
    Image.fromarray(large).save(buffer, "JPEG2000")
    assert np.array_equal(read_pixels(buffer), large)
    profile = ColourCodes(12, 13).profile()
    assert profile is not None
    file = with_icc(buffer.getvalue(), profile)
    image = open_image(io.BytesIO(file.getvalue()))
    pixels, notes = to_pixels(image)
    assert near(pixels[:, ::16], IN_P3)
    assert notes == []
    assert metadata_of(image, pixels)[0].srgb
    assert np.array_equal(to_pixels(Image.open(file))[0], pixels)
    (tmp_path / "a.jp2").write_bytes(file.getvalue())
    Image.open(tmp_path / "a.jp2").save(tmp_path / "a.rnnc", iterations=1)
    assert Image.open(tmp_path / "a.rnnc").info["icc_profile"]


def test_numbers_come_before_the_profile_in_png_and_after_it_in_avif() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    iccp = (b"iCCP", b"srgb\0\0" + zlib.compress(srgb))
    assert near(read_pixels(png(COLOURS, cicp(12, 13), iccp)), IN_P3)
    image = Image.open(nclx(COLOURS, 12, 13))
    image.info["icc_profile"] = srgb
    assert near(to_pixels(image)[0][:, ::16], COLOURS[0].tolist(), 4)


@pytest.mark.parametrize(("primaries", "transfer"), [(200, 13), (12, 200), (0, 3)])
def test_numbers_that_are_not_known_are_noted(primaries: int, transfer: int) -> None:
    pixels, (note,) = to_pixels(open_image(png(COLOURS, cicp(primaries, transfer))))
    assert np.array_equal(pixels, COLOURS)
    assert f"primaries {primaries} and transfer function {transfer}" in note


@pytest.mark.parametrize("primaries", [1, 9, 12])
@pytest.mark.parametrize(
    ("transfer", "white"),
    [(16, 0.5806888), (18, 0.75)],  # what 203 cd/m² are coded as; of HLG by definition
)
def test_hdr_keeps_its_midtones_and_is_cut_at_white(primaries: int, transfer: int, white: float) -> None:
    samples = np.array([[[0], [round(255 * white)], [250]]], np.uint8).repeat(3, axis=2)
    pixels, (note,) = to_pixels(open_image(png(samples, cicp(primaries, transfer))))
    assert pixels[0, 0].max() == 0
    assert pixels[0, 1].min() >= 250
    assert pixels[0, 2].min() == 255
    assert "above 203 cd/m² becomes white" in note


def test_samples_from_16_to_235_are_stretched() -> None:
    samples = np.array([[[10], [16], [126], [235], [250]]], np.uint8).repeat(3, axis=2)
    assert read_pixels(png(samples, cicp(1, 13, full=0)))[0, :, 0].tolist() == pytest.approx(
        [0, 0, 128, 255, 255], abs=1
    )


@pytest.mark.parametrize("primaries", PRIMARIES)
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_every_number_gives_a_profile_of_white_that_rises(primaries: int, transfer: int) -> None:
    profile = ColourCodes(primaries, transfer).profile()
    grey = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    if profile is None:
        assert (primaries, transfer) in [(a, b) for a in (1, 2, 5) for b in TRANSFERS]
        return
    image = Image.fromarray(grey)
    image.info["icc_profile"] = profile
    pixels, notes = to_pixels(image)
    assert notes == []
    assert pixels[0, 0].max() <= 1
    assert pixels[0, 255].min() >= 254
    assert (np.diff(pixels[0].astype(int), axis=0) >= 0).all()
    assert np.ptp(pixels[0].astype(int), axis=1).max() <= 2  # grey stays grey


def test_converted_pictures_are_marked(tmp_path: Path) -> None:
    for chunk, marked in ((cicp(12, 13), True), (cicp(1, 13), False), (gama(1.0), True)):
        image = open_image(png(COLOURS, chunk))
        assert metadata_of(image, COLOURS)[0].srgb is marked


def test_an_image_that_pillow_opened_keeps_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "p3.png"
    path.write_bytes(png(COLOURS, cicp(12, 13)).getvalue())
    assert near(to_pixels(Image.open(path))[0], IN_P3)
    loaded = Image.open(path)
    loaded.load()
    assert near(to_pixels(loaded)[0], IN_P3)
    assert near(to_pixels(Image.open(io.BytesIO(path.read_bytes())))[0], IN_P3)
