"""The plugin of Pillow."""

import io
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.ExifTags import Base

import rnncodec
import rnncodec.pillow
from rnncodec.coding.small_pictures import layers_for
from rnncodec.errors import ConfigurationError, FormatError, WrongModelError
from rnncodec.fileformat import bitstream
from rnncodec.pictures.pixels import Pixels, srgb_profile, to_pixels

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'


@pytest.fixture(autouse=True)
def _weights(context_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rnncodec.pillow, "MODEL", context_weights)


@pytest.fixture(scope="module")
def photo(photos: list[Pixels]) -> Image.Image:
    return Image.fromarray(photos[0][:60, :70])


@pytest.fixture
def save(context_weights: Path) -> Any:
    def save_with(image: Image.Image, **options: Any) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "RNNC", model=context_weights, **options)
        return buffer.getvalue()

    return save_with


def test_a_saved_image_is_that_of_the_function_and_opens_as_such(
    photo: Image.Image, context_weights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "photo.rnnc"
    photo.save(path, model=context_weights, iterations=2)
    assert path.read_bytes() == rnncodec.compress(photo, model=context_weights, iterations=2)
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size, image.get_format_mimetype()) == (
            "RNNC", "RGB", (70, 60), "image/x-rnnc"
        )  # fmt: skip
        expected = np.asarray(rnncodec.decompress(path.read_bytes(), model=context_weights))
        assert np.array_equal(np.asarray(image), expected)
        assert np.array_equal(np.asarray(image.crop((5, 6, 20, 30))), expected[6:30, 5:20])
    image.save(tmp_path / "photo.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "photo.png")), expected)


def test_targets_of_size_and_quality_are_options_of_save(
    photos: list[Pixels], context_weights: Path, save: Any
) -> None:
    photo = Image.fromarray(photos[0])
    for target in ({"max_bytes": 1500}, {"bpp": 0.3}, {"psnr": 5.0}, {"ms_ssim": 0.01}):
        content = save(photo, exif=exif_with(Base.Artist, "Ada"), **target)
        photo.info["exif"] = exif_with(Base.Artist, "Ada").tobytes()
        assert content == rnncodec.compress(photo, model=context_weights, **target)
        assert bitstream.read(content).metadata.exif
    del photo.info["exif"]
    assert len(save(photo, max_bytes=1500)) <= 1500
    with pytest.raises(ConfigurationError, match="one layer takes"):
        save(photo, max_bytes=10)
    with pytest.raises(ConfigurationError, match=r"with 3 layers the picture .* on the scale of quality, not 80"):
        save(photo, quality=80)


def exif_with(tag: int, value: Any) -> Image.Exif:
    exif = Image.Exif()
    exif[tag] = value
    return exif


@pytest.mark.parametrize("kind", ["Exif", "bytes"])
def test_exif_and_xmp_are_kept_if_they_are_given(photo: Image.Image, save: Any, kind: str) -> None:
    exif = exif_with(Base.Artist, "Ada")
    given = exif if kind == "Exif" else exif.tobytes()
    image = Image.open(io.BytesIO(save(photo, exif=given, xmp=XMP)))
    assert image.getexif()[Base.Artist] == "Ada"
    assert image.info["xmp"] == XMP.replace(b'"6"', b'"1"')
    silent = photo.copy()
    silent.info = {"exif": exif.tobytes(), "xmp": XMP}
    assert Image.open(io.BytesIO(save(silent))).info == {}


def test_the_orientation_that_is_given_turns_the_pixels(photo: Image.Image, save: Any) -> None:
    turned = save(photo, exif=exif_with(Base.Orientation, 6))
    image = Image.open(io.BytesIO(turned))
    assert image.size == (60, 70)
    assert image.getexif()[Base.Orientation] == 1
    upright = Image.open(io.BytesIO(save(photo.transpose(Image.Transpose.ROTATE_270))))
    assert np.array_equal(np.asarray(image), np.asarray(upright))


def test_the_profile_of_the_image_or_the_given_one_is_applied(photo: Image.Image, save: Any, gamma: bytes) -> None:
    tagged = photo.copy()
    tagged.info["icc_profile"] = gamma
    converted = Image.fromarray(to_pixels(tagged)[0])
    expected = save(converted, icc_profile=srgb_profile())
    assert save(tagged) == save(photo, icc_profile=gamma) == expected
    assert expected != save(photo)
    assert Image.open(io.BytesIO(expected)).info == {"icc_profile": srgb_profile()}
    assert save(tagged, icc_profile=None) == save(photo)


@pytest.fixture(scope="module")
def gamma() -> bytes:
    """A profile with the primaries of sRGB whose curves are others."""
    profile = bytearray(srgb_profile())
    at = profile.index(b"para\0\0\0\0\0\x03\0\0") + 12
    profile[at : at + 4] = (int(1.5 * 65536)).to_bytes(4, "big")
    return bytes(profile)


def test_a_file_cut_at_every_byte_follows_the_convention_of_pillow(
    photo: Image.Image, save: Any, context_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = save(photo.crop((0, 0, 30, 20)), iterations=3, exif=exif_with(Base.Artist, "Ada"))
    file = bitstream.read(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = [np.zeros((20, 30, 3), np.uint8)]
        shown += [np.asarray(rnncodec.decompress(content[:end], model=context_weights)) for end in file.ends]
    header = len(file.header.pack())
    for cut in range(len(content) + 1):
        part = io.BytesIO(content[:cut])
        if cut < header:
            with pytest.raises(UnidentifiedImageError):
                Image.open(part)
            continue
        layers = sum(end <= cut for end in file.ends)
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
        image = Image.open(part)
        assert image.size == (30, 20)
        if layers < 3:
            with pytest.raises(OSError, match=r"image file is truncated: it was cut .* of 3"):
                image.load()
            monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        assert np.array_equal(np.asarray(image), shown[layers])
        assert ("exif" in image.info) == (cut == len(content))


def test_a_file_is_verified_without_its_pixels(photo: Image.Image, save: Any) -> None:
    content = save(photo, iterations=2, exif=exif_with(Base.Artist, "Ada"))
    Image.open(io.BytesIO(content)).verify()
    damaged = bytearray(content)
    damaged[bitstream.read(content).ends[0] - 1] ^= 1
    for broken in (content[:-1], content[: len(content) // 2], bytes(damaged)):
        with pytest.raises(OSError, match="image file is broken"):
            Image.open(io.BytesIO(broken)).verify()


def test_a_thumbnail_is_made_of_the_layers_that_it_needs(
    photos: list[Pixels], save: Any, context_weights: Path
) -> None:
    content = save(Image.fromarray(photos[0]), iterations=8)
    header = bitstream.read(content).header
    image = Image.open(io.BytesIO(content))
    image.thumbnail((8, 8))  # 26 times smaller; Pillow asks for twice its size
    layers = layers_for(header, 13)
    assert 1 < layers < 8
    drafted = rnncodec.decompress(content, model=context_weights, layers=layers)
    drafted.thumbnail((8, 8))
    assert np.array_equal(np.asarray(image), np.asarray(drafted))
    whole = Image.open(io.BytesIO(content))
    assert whole.draft("L", whole.size) == ("RGB", (0, 0, 208, 192))
    assert np.array_equal(np.asarray(whole), np.asarray(rnncodec.decompress(content, model=context_weights)))
    assert whole.draft(None, (1, 1)) is None  # it is decoded already


def test_several_frames_are_refused_and_one_is_saved(photo: Image.Image, save: Any) -> None:
    assert save(photo, iterations=1, save_all=True) == save(photo, iterations=1)
    with pytest.raises(ConfigurationError, match="holds one picture, not 3"):
        save(photo, iterations=1, save_all=True, append_images=[photo, photo])


def test_colours_that_a_file_names_by_numbers_are_converted(photo: Image.Image, save: Any, tmp_path: Path) -> None:
    photo.save(tmp_path / "photo.png")
    content = (tmp_path / "photo.png").read_bytes()
    chunk = b"cICP\x0c\x0d\0\1"
    chunk = b"\0\0\0\4" + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (tmp_path / "p3.png").write_bytes(content[:33] + chunk + content[33:])
    converted = Image.fromarray(to_pixels(Image.open(tmp_path / "p3.png"))[0])
    expected = save(converted, iterations=1, icc_profile=srgb_profile())
    assert save(Image.open(tmp_path / "p3.png"), iterations=1) == expected
    assert save(Image.open(tmp_path / "p3.png"), iterations=1, icc_profile=None) == save(photo, iterations=1)


def test_a_damaged_layer_is_treated_like_one_that_was_cut(
    photo: Image.Image, save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(save(photo, iterations=3))
    content[bitstream.read(bytes(content)).ends[1] - 1] ^= 1
    image = Image.open(io.BytesIO(content))
    with pytest.raises(OSError, match="layer 2 of 3 is damaged"):
        image.load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert np.asarray(image).shape == (60, 70, 3)


def test_foreign_files_and_newer_ones_are_not_identified(photo: Image.Image, save: Any) -> None:
    content = save(photo, iterations=1)
    with pytest.raises(UnidentifiedImageError), pytest.warns(UserWarning, match="an .rnnc file of version 3"):
        Image.open(io.BytesIO(content[:4] + b"\x03" + content[5:]))
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(b"RNNC\x01 and something else"))


def test_files_of_other_weights_and_too_large_pictures_are_refused_when_they_are_loaded(
    photo: Image.Image, save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = save(photo, iterations=1)
    monkeypatch.setattr(rnncodec.pillow, "MAX_PIXELS", 4199)
    with pytest.raises(FormatError, match="more than the limit"):
        Image.open(io.BytesIO(content)).load()
    monkeypatch.setattr(rnncodec.pillow, "MAX_PIXELS", 4200)
    Image.open(io.BytesIO(content)).load()
    monkeypatch.setattr(rnncodec.pillow, "MODEL", None)
    with pytest.raises(WrongModelError, match="none of the released ones"):
        Image.open(io.BytesIO(content)).load()


def test_pillows_own_limit_holds(save: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    header = bitstream.Header(b"\0\0\0\0", bitstream.CONTEXT, 65_535, 65_535, 32, 1)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(bitstream.write(header, [b"\x01"])))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16"])
def test_images_of_any_mode_are_saved(photo: Image.Image, save: Any, mode: str) -> None:
    image = Image.new(mode, (17, 9)) if mode == "I;16" else photo.convert(mode)
    assert Image.open(io.BytesIO(save(image, iterations=1))).size == image.size


def test_opening_a_file_does_not_load_torch(photo: Image.Image, save: Any, tmp_path: Path) -> None:
    (tmp_path / "photo.rnnc").write_bytes(save(photo, iterations=1, xmp=XMP))
    program = (
        "import sys; from PIL import Image; import rnncodec.pillow; image = Image.open(sys.argv[1]); "
        "print(image.size, image.mode, sorted(image.info), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "photo.rnnc")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "(60, 70) RGB ['xmp'] False\n", done.stderr


class Endless(io.BytesIO):
    """A file that zeros without end follow."""

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0, "it never ends"
        return super().read(size).ljust(size, b"\0")


def test_what_follows_a_file_without_end_is_not_read(photo: Image.Image, save: Any) -> None:
    image = Image.open(Endless(save(photo)), formats=["RNNC"])
    assert image.size == photo.size


def test_a_file_with_alpha_is_an_image_file_as_any_other(
    photo: Image.Image, context_weights: Path, tmp_path: Path
) -> None:
    picture = photo.copy()
    picture.putalpha(100)
    path = tmp_path / "photo.rnnc"
    picture.save(path, model=context_weights, iterations=1)
    program = f"""
import rnncodec, rnncodec.pillow
from pathlib import Path
rnncodec.pillow.MODEL = Path({str(context_weights)!r})
print(len(rnncodec.compress({str(path)!r}, model={str(context_weights)!r}, iterations=1)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)  # may not hang
    assert int(done.stdout) > 0, done.stderr
