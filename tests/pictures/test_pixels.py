import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, TiffImagePlugin, TiffTags

from rnncodec.errors import ImageError
from rnncodec.pictures.pillow_metadata import metadata_of
from rnncodec.pictures.pixels import Pixels, is_image_name, open_image, read_pixels, to_pixels, to_pixels_and_alpha

MODES = (
    "1",
    "L",
    "LA",
    "P",
    "La",
    "PA",
    "RGB",
    "RGBA",
    "RGBX",
    "RGBa",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "I;16",
    "I;16B",
)
RNG = np.random.default_rng(0)
PICTURE = np.kron(RNG.integers(0, 256, (3, 4, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))


def encoded(image: Image.Image, image_format: str, **options: Any) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    buffer.seek(0)
    return buffer


def with_profile(image: Image.Image, profile: bytes) -> Image.Image:
    image.info["icc_profile"] = profile
    return image


# Modes


@given(mode=st.sampled_from(MODES), height=st.integers(1, 20), width=st.integers(1, 20))
def test_every_mode_becomes_uint8_rgb_of_the_same_size(mode: str, height: int, width: int) -> None:
    pixels, _ = to_pixels(Image.new(mode, (width, height)))
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8


def test_rgb_passes_through_unchanged_and_without_a_note() -> None:
    pixels, notes = to_pixels(Image.fromarray(PICTURE))
    assert np.array_equal(pixels, PICTURE)
    assert notes == []


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("CMYK", (255, 0, 0, 0), (0, 255, 255)),
        ("YCbCr", (130, 128, 128), (130, 130, 130)),
        ("HSV", (0, 255, 255), (255, 0, 0)),
    ],
)
def test_colours_of_other_modes_are_kept(mode: str, colour: Any, expected: tuple[int, int, int]) -> None:
    pixels, _ = to_pixels(Image.new(mode, (2, 2), colour))
    assert pixels[0, 0].tolist() == pytest.approx(expected, abs=1)


def test_a_palette_is_looked_up() -> None:
    image = Image.fromarray(PICTURE).quantize(12)
    assert image.mode == "P"
    assert np.array_equal(to_pixels(image)[0], PICTURE)


# Transparency


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (200, 0, 100, 0), (255, 255, 255)),
        ("RGBA", (200, 0, 100, 255), (200, 0, 100)),
        ("RGBA", (200, 0, 100, 51), (244, 204, 224)),
        ("LA", (0, 51), (204, 204, 204)),
    ],
)
def test_transparency_is_flattened_onto_white(mode: str, colour: Any, expected: tuple[int, int, int]) -> None:
    pixels, notes = to_pixels(Image.new(mode, (2, 2), colour))
    assert pixels[0, 0].tolist() == pytest.approx(expected, abs=1)
    assert notes == ([] if colour[-1] == 255 else ["transparency is flattened onto white"])


@pytest.mark.parametrize("mode", ["LA", "La", "RGBA"])
def test_transparency_does_not_keep_a_profile_from_being_applied(mode: str) -> None:
    grey = mode != "RGBA"
    image = Image.new("LA", (2, 2), (55, 255)) if grey else Image.new("RGBA", (2, 2), (55, 55, 55, 255))
    pixels, notes = to_pixels(with_profile(image.convert(mode), LINEAR_GREY if grey else LINEAR))
    assert pixels[0, 0].tolist() == pytest.approx((128, 128, 128), abs=3)
    assert not any("profile" in note for note in notes)


@pytest.mark.parametrize("image_format", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette_becomes_white(image_format: str) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putpixel((1, 0), 1)
    pixels, notes = to_pixels(Image.open(encoded(image, image_format, transparency=0)))
    assert pixels.tolist() == [[[255, 255, 255], [0, 0, 200]]]
    assert notes == ["transparency is flattened onto white"]


def test_a_transparent_colour_of_an_rgb_file_becomes_white() -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    pixels, _ = to_pixels(Image.open(encoded(image, "PNG", transparency=(1, 2, 3))))
    assert pixels.tolist() == [[[255, 255, 255], [9, 9, 9]]]


# Depth


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_16_bits_are_scaled_to_8(image_format: str) -> None:
    samples = np.arange(0, 65536, 17, dtype=np.uint16).reshape(1, -1)
    pixels, notes = to_pixels(Image.open(encoded(Image.fromarray(samples), image_format)))
    assert np.array_equal(pixels[..., 0], np.rint(samples / 257).astype(np.uint8))
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    assert notes == ["16-bit or float samples become 8-bit"]


def test_a_dark_16_bit_image_stays_dark() -> None:
    assert to_pixels(Image.fromarray(np.full((2, 2), 200, np.uint16)))[0].max() == 1


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([0, 32768, 65535], [0, 128, 255]),
        ([0, 100, 199], [0, 0, 1]),
        ([-5, 100, 70000], [0, 0, 255]),
    ],
)
def test_samples_of_mode_i_have_16_bits_whatever_the_largest_is(samples: list[int], expected: list[int]) -> None:
    pixels, _ = to_pixels(Image.fromarray(np.array([samples], np.int32)))
    assert pixels[0, :, 0].tolist() == expected


@pytest.mark.parametrize("top", [300, 4095, 65535])
def test_a_pgm_file_says_its_depth(top: int) -> None:
    samples = np.array([[0, 100, 199, top]], ">u2")
    file = io.BytesIO(b"P5 4 1 %d\n" % top + samples.tobytes())
    assert read_pixels(file)[0, :, 0].tolist() == np.rint(samples[0] * (255 / top)).tolist()


def tiff(packed: bytes, bits: int, white_is_zero: bool = False) -> io.BytesIO:
    """A TIFF file of four grey samples in one row."""
    entries = {256: 4, 257: 1, 258: bits, 259: 1, 262: int(not white_is_zero), 273: 8, 277: 1, 278: 1, 279: len(packed)}
    start = struct.pack("<4sI", b"II*\0", 8 + len(packed)) + packed
    table = b"".join(struct.pack("<2H2I", tag, 4 if tag in (273, 279) else 3, 1, each) for tag, each in entries.items())
    return io.BytesIO(start + struct.pack("<H", len(entries)) + table + bytes(4))


def test_a_tiff_file_says_its_depth() -> None:
    samples = np.array([0, 100, 2048, 4095])
    packed = b"".join(int(a << 12 | b).to_bytes(3, "big") for a, b in samples.reshape(-1, 2))
    assert read_pixels(tiff(packed, 12))[0, :, 0].tolist() == [0, 6, 128, 255]


@pytest.mark.parametrize("white_is_zero", [False, True])
def test_16_bits_of_a_tiff_file_in_which_0_is_white_are_no_negative(white_is_zero: bool) -> None:
    packed = np.array([0, 20000, 40000, 65535], "<u2").tobytes()
    shown = read_pixels(tiff(packed, 16, white_is_zero))[0, :, 0]
    expected = np.array([0, 78, 156, 255])
    assert np.array_equal(shown, 255 - expected if white_is_zero else expected)


def png(bits: int, colour_type: int, row: bytes, width: int, key: tuple[int, ...]) -> io.BytesIO:
    """A PNG file of one row, in which the colour ``key`` is transparent."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">2I5B", width, 1, bits, colour_type, 0, 0, 0)
    chunks = {b"IHDR": header, b"tRNS": struct.pack(f">{len(key)}H", *key), b"IDAT": zlib.compress(b"\0" + row)}
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks.items()) + chunk(b"IEND", b""))


@pytest.mark.parametrize(
    ("bits", "row"),
    [(1, b"\x50"), (2, b"\x33"), (4, b"\x0f\x0f"), (8, b"\0\xff\0\xff"), (16, b"\0\0\xff\xff\0\0\xff\xff")],
)
@pytest.mark.parametrize("white", [False, True])
def test_a_transparent_grey_of_any_depth_is_kept(bits: int, row: bytes, white: bool) -> None:
    file = png(bits, 0, row, 4, (2**bits - 1 if white else 0,))
    for image in (open_image(io.BytesIO(file.getvalue())), Image.open(file)):
        _, alpha, _ = to_pixels_and_alpha(image)
        assert alpha is not None
        assert alpha[0].tolist() == ([255, 0] * 2 if white else [0, 255] * 2)


@pytest.mark.parametrize("key", [0, 65535])
def test_a_transparent_colour_of_16_bits_is_kept(key: int) -> None:
    _, alpha, _ = to_pixels_and_alpha(open_image(png(16, 2, bytes(6) + b"\xff" * 6, 2, (key,) * 3)))
    assert alpha is not None
    assert alpha[0].tolist() == ([255, 0] if key else [0, 255])


@pytest.mark.parametrize("tags", [{254: 1, 330: 8}, {50706: b"\1\4\0\0"}])
def test_a_raw_photo_is_not_taken_for_its_preview(tags: dict[int, Any]) -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
    with pytest.raises(ImageError, match="a raw photo"):
        open_image(encoded(Image.new("RGB", (16, 12)), "TIFF", tiffinfo=info))


@pytest.mark.parametrize(
    ("odd", "scale", "shown"),
    [(np.inf, 1.0, 255), (-np.inf, 1.0, 0), (np.nan, 1.0, 0), (1.5, 1.0, 255), (3e4, 1.0, 255), (300.0, 255.0, 255)],
)
def test_one_float_sample_out_of_range_does_not_change_the_others(odd: float, scale: float, shown: int) -> None:
    ramp = np.linspace(0.0, 1.0, 64, dtype=np.float32).reshape(8, 8)
    samples = ramp * np.float32(scale)
    samples[3, 3] = odd
    pixels = read_pixels(encoded(Image.fromarray(samples), "TIFF"))[..., 0]
    expected = np.rint(ramp * 255)
    expected[3, 3] = shown
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([-1.0, 100.4, 255.0], [0, 100, 255]),
        ([0.0, 32768.0, 65535.0], [0, 128, 255]),
        ([np.nan, np.inf, -np.inf], [0, 255, 0]),
    ],
)
def test_float_samples_are_scaled_by_the_range_they_use(samples: list[float], expected: list[int]) -> None:
    pixels, _ = to_pixels(Image.fromarray(np.array([samples], np.float32)))
    assert pixels[0, :, 0].tolist() == expected


# Orientation: what is stored, to what is to be seen

UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_exif_orientation_is_applied(image_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exact = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(image_format, {})
    pixels, notes = to_pixels(Image.open(encoded(Image.fromarray(PICTURE), image_format, exif=exif, **exact)))
    expected = UPRIGHT[orientation](PICTURE)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= (4 if image_format == "JPEG" else 0)
    assert notes == []


@pytest.mark.parametrize("packed", [False, True])
def test_only_a_packed_jpeg_in_a_jpeg_xl_file_is_turned_by_exif(packed: bool, tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    file = tmp_path / "a.jpg"
    Image.fromarray(PICTURE).save(file, quality=95, exif=exif)
    with Image.open(file) as image:
        image.save(tmp_path / "a.jxl", lossless_jpeg=packed, exif=exif.tobytes())
    height, width, _ = PICTURE.shape
    assert read_pixels(tmp_path / "a.jxl").shape[:2] == ((width, height) if packed else (height, width))


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    assert np.array_equal(read_pixels(encoded(Image.fromarray(PICTURE), "PNG", exif=exif)), PICTURE)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0no tiff at all", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"])
def test_broken_exif_data_leave_the_image_as_it_is(exif: bytes) -> None:
    assert np.array_equal(read_pixels(encoded(Image.fromarray(PICTURE), "WEBP", lossless=True, exif=exif)), PICTURE)


# Colour profiles


def icc_profile(space: bytes, primaries: list[tuple[float, float, float]]) -> bytes:
    """A display profile with linear curves; the primaries are XYZ columns relative to D50."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    d50 = (0.9642, 1.0, 0.8249)
    linear = b"curv\0\0\0\0" + struct.pack(">I", 0)
    tags = {b"wtpt": xyz(*d50), b"cprt": b"text\0\0\0\0none\0", b"desc": b"desc\0\0\0\0\0\0\0\x05test\0" + bytes(78)}
    for name, primary in zip(b"rgb", primaries, strict=False):
        tags[bytes([name]) + b"XYZ"] = xyz(*primary)
        tags[bytes([name]) + b"TRC"] = linear
    if not primaries:
        tags[b"kTRC"] = linear
    table, data = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">2I", 132 + 12 * len(tags) + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = bytes(4) + struct.pack(">I", 0x02100000) + b"mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28)
    header += xyz(*d50)[8:] + bytes(48)
    return struct.pack(">I", 4 + len(header) + len(table) + len(data)) + header + table + data


SRGB_PRIMARIES = [(0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)]
LINEAR = icc_profile(b"RGB ", SRGB_PRIMARIES)
GREEN_RED_BLUE = icc_profile(b"RGB ", [SRGB_PRIMARIES[1], SRGB_PRIMARIES[0], SRGB_PRIMARIES[2]])
LINEAR_GREY = icc_profile(b"GRAY", [])
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def srgb_of_linear(samples: Pixels) -> np.ndarray:
    linear = samples / 255.0
    return 255.0 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
def test_a_linear_profile_is_converted_to_srgb(image_format: str) -> None:
    exact = {"lossless": True} if image_format == "WEBP" else {}
    file = encoded(Image.fromarray(PICTURE), image_format, icc_profile=LINEAR, **exact)
    pixels, notes = to_pixels(Image.open(file))
    assert notes == []
    assert np.abs(pixels - srgb_of_linear(PICTURE)).max() <= 3
    assert np.abs(pixels.astype(int) - PICTURE).max() > 40


def test_a_profile_with_other_primaries_moves_the_colours() -> None:
    image = with_profile(Image.new("RGB", (2, 2), (255, 0, 0)), GREEN_RED_BLUE)
    assert to_pixels(image)[0][0, 0].tolist() == pytest.approx((0, 255, 0), abs=3)


def test_a_grey_profile_is_converted() -> None:
    ramp = np.arange(16, 256, dtype=np.uint8)[None]
    pixels, notes = to_pixels(with_profile(Image.fromarray(ramp), LINEAR_GREY))
    assert notes == []
    assert np.abs(pixels[..., 0] - srgb_of_linear(ramp)).max() <= 3
    assert np.array_equal(pixels[..., 0], pixels[..., 1])


def test_lab_with_its_profile_is_converted() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    pixels, notes = to_pixels(with_profile(Image.new("LAB", (2, 2), (255, 128, 128)), lab))
    assert notes == []
    assert pixels.min() >= 253


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_the_profile_of_any_mode_with_colours_is_applied(mode: str) -> None:
    image = Image.new("RGB", (2, 2), (55, 55, 55))
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    pixels, notes = to_pixels(with_profile(image, LINEAR))
    assert pixels[0, 0].tolist() == pytest.approx((128, 128, 128), abs=3)
    assert not any("profile" in note for note in notes)


def test_an_srgb_profile_changes_nothing_but_rounding() -> None:
    pixels, notes = to_pixels(with_profile(Image.fromarray(PICTURE), SRGB))
    assert notes == []
    assert np.abs(pixels.astype(int) - PICTURE).max() <= 1


@pytest.mark.parametrize("profile", [b"broken", LINEAR[:200], LINEAR_GREY], ids=["nonsense", "cut", "of another mode"])
def test_a_profile_that_cannot_be_applied_is_noted_and_ignored(profile: bytes) -> None:
    pixels, notes = to_pixels(with_profile(Image.fromarray(PICTURE), profile))
    assert np.array_equal(pixels, PICTURE)
    assert len(notes) == 1
    assert "colour profile could not be applied" in notes[0]


@pytest.mark.parametrize(
    "name", ["transparency", "gamma", "srgb", "chromaticity", "cicp", "exif", "xmp", "icc_profile"]
)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_text_of_a_png_file_may_have_any_name(name: str, compressed: bool) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text(name, "hello", zip=compressed)
    image = open_image(encoded(Image.fromarray(PICTURE), "PNG", pnginfo=text))
    pixels, notes = to_pixels(image)
    assert np.array_equal(pixels, PICTURE)
    assert len(notes) == (name == "icc_profile")
    metadata, _ = metadata_of(image, pixels)
    assert not metadata.srgb


@pytest.mark.filterwarnings("ignore:Metadata Warning")
def test_a_profile_of_a_wrong_type_is_noted_and_ignored() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[34675], tags.tagtype[34675] = (1, 2, 3), TiffTags.SHORT
    pixels, notes = to_pixels(open_image(encoded(Image.fromarray(PICTURE), "TIFF", tiffinfo=tags)))
    assert np.array_equal(pixels, PICTURE)
    assert notes == ["its colour profile is no ICC profile; its samples are taken as sRGB"]


# Animations


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_kept(image_format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    file = encoded(frames[0], image_format, save_all=True, append_images=frames[1:])
    pixels, notes = to_pixels(Image.open(file))
    assert pixels[0, 0].tolist() == pytest.approx((255, 0, 0), abs=3)
    assert notes == ["only the first of 3 frames is kept"]


# Files


def test_a_file_is_read_by_path_or_as_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(PICTURE).save(path)
    assert np.array_equal(read_pixels(path), PICTURE)
    assert np.array_equal(read_pixels(str(path)), PICTURE)
    assert np.array_equal(read_pixels(io.BytesIO(path.read_bytes())), PICTURE)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png: no such file"):
        open_image(tmp_path / "nowhere.png")


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=tmp_path.name):
        open_image(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1000)])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"text\.png: not an image"):
        open_image(path)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "AVIF"])
def test_a_truncated_image_is_found_at_opening_and_named(tmp_path: Path, image_format: str) -> None:
    path = tmp_path / f"cut.{image_format.lower()}"
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path.write_bytes(encoded(Image.fromarray(noise), image_format).getvalue()[:1000])
    with pytest.raises(ImageError, match=path.name.replace(".", r"\.")):
        open_image(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "GIF", "WEBP", "AVIF", "JPEG2000"])
@given(data=st.data())
def test_a_damaged_file_gives_pixels_or_an_image_error(image_format: str, data: st.DataObject) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    extras = {"exif": exif, "icc_profile": SRGB} if image_format not in ("GIF", "JPEG2000") else {}
    content = bytearray(encoded(Image.fromarray(PICTURE), image_format, **extras).getvalue())
    places = st.integers(0, len(content) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=5)):
        content[place] = value
    try:
        pixels = read_pixels(io.BytesIO(content))
    except ImageError:
        return
    assert pixels.ndim == 3
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("photo.jpg", True),
        ("PHOTO.JPEG", True),
        ("folder.png/photo.webp", True),
        ("photo.tif", True),
        ("notes.txt", False),
        ("photo.jpg.json", False),
        ("document.pdf", False),
        ("png", False),
        ("._photo.jpg", False),
        ("clip.mpg", False),
        ("data.h5", False),
    ],
)
def test_images_are_known_by_the_ending_of_their_name(name: str, known: bool) -> None:
    assert is_image_name(name) is known


def test_the_size_of_a_picture_is_checked_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (20_000, 10_000)).save(path)  # 200 million pixels: Pillow alone would refuse it
    with pytest.raises(ImageError, match="20000×10000 pixels are more than the limit"):
        open_image(path)
    assert open_image(path, max_pixels=200_000_000).size == (20_000, 10_000)


def test_a_picture_within_an_icon_has_the_limit_too() -> None:
    picture = io.BytesIO()
    Image.new("L", (1500, 1500)).save(picture, "PNG")
    entry = struct.pack("<4B2H2I", 16, 16, 0, 0, 1, 32, len(picture.getvalue()), 22)
    icon = struct.pack("<3H", 0, 1, 1) + entry + picture.getvalue()
    assert open_image(io.BytesIO(icon)).size == (1500, 1500)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="more pixels than the limit of 10,000; raise"):
            open_image(io.BytesIO(icon), max_pixels=10_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_bytes_are_no_name_of_a_file() -> None:
    with pytest.raises(ImageError) as refused:
        open_image(encoded(Image.fromarray(PICTURE), "PNG").getvalue())  # type: ignore[arg-type]
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_a_grey_profile_is_applied_to_grey_that_pillow_reads_as_colours(mode: str) -> None:
    grey = np.full((8, 8), 128, np.uint8)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile(b"GRAY", [])))
    assert profile.profile.xcolor_space.strip() == "GRAY"
    expected, notes = to_pixels(with_profile(Image.fromarray(grey), icc_profile(b"GRAY", [])))
    assert notes == []
    pixels, notes = to_pixels(with_profile(Image.fromarray(grey).convert(mode), icc_profile(b"GRAY", [])))
    assert notes == []
    assert np.array_equal(pixels, expected)
