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
from PIL import Image

import rnncodec
import rnncodec.pillow
from rnncodec.errors import ConfigurationError
from rnncodec.fileformat import bitstream
from rnncodec.fileformat.metadata import ALPHA, Metadata
from rnncodec.pictures.pillow_metadata import encode, picture_of
from rnncodec.pictures.pixels import Pixels, over_white, to_pixels
from rnncodec.pictures.transparency import Alpha, pack_alpha, unpack_alpha, with_alpha


def alphas(*values: int) -> Any:
    levels = st.sampled_from(values) if values else st.integers(0, 255)
    rows = st.integers(1, 9).flatmap(
        lambda width: st.lists(st.lists(levels, min_size=width, max_size=width), min_size=1)
    )
    return rows.map(lambda found: np.array(found, np.uint8))


@given(alphas() | alphas(0, 255))
def test_alpha_survives_exactly(alpha: Alpha) -> None:
    content, notes = pack_alpha(alpha)
    found = unpack_alpha(content, alpha.shape[1], alpha.shape[0])
    assert found is not None
    assert (found.dtype, notes) == (np.uint8, [])
    assert np.array_equal(found, alpha)


def png(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_alpha_may_be_the_first_channel_of_any_usual_png(mode: str) -> None:
    assert np.array_equal(unpack_alpha(png(Image.new("L", (3, 2), 77).convert(mode)), 3, 2), np.full((2, 3), 77))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image",
        png(Image.new("L", (4, 2))),
        png(Image.new("I;16", (3, 2))),
        png(Image.new("P", (3, 2))),
        png(Image.new("L", (3, 2)))[:-26],
        png(Image.new("L", (3, 2)), save_all=True, append_images=[Image.new("L", (3, 2), 9)]),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)),
    ],
    ids=["nothing", "text", "size", "16 bits", "palette", "cut", "animation", "bomb"],
)
def test_anything_else_is_damage_and_the_picture_is_shown_over_white(content: bytes) -> None:
    pixels = np.full((2, 3, 3), 200, np.uint8)
    tracemalloc.start()
    try:
        assert unpack_alpha(content, 3, 2) is None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    if content:
        image, notes = picture_of(pixels, Metadata(alpha=content), 3, 2)
        assert notes == ["its transparency is damaged; it is shown over white"]
        assert np.array_equal(image, pixels)


@given(st.integers(0, 255), st.integers(0, 255))
def test_colours_are_those_that_look_the_same_on_white(colour: int, alpha: int) -> None:
    image = Image.new("RGBA", (1, 1), (colour, 0, 255, alpha))
    flat = np.asarray(over_white(image))
    found = with_alpha(flat, np.array([[alpha]], np.uint8))
    assert np.abs(np.asarray(over_white(found)).astype(int) - flat).max() <= 1
    assert found.getpixel((0, 0))[3] == alpha
    if alpha == 255:
        assert found.getpixel((0, 0)) == (colour, 0, 255, 255)


def test_alpha_takes_little_memory_beside_its_pixels() -> None:
    pixels, alpha = np.full((2048, 512, 3), 200, np.uint8), np.full((2048, 512), 100, np.uint8)
    tracemalloc.start()
    try:
        with_alpha(pixels, alpha)
        assert tracemalloc.get_traced_memory()[1] < 14 * alpha.size
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def cut_out(photos: list[Pixels]) -> Image.Image:
    """A photo that fades out to the right."""
    pixels = photos[0][:70, :100]
    alpha = np.tile(np.linspace(255, 0, 100).astype(np.uint8), (70, 1))
    return Image.fromarray(np.dstack([pixels, alpha]))


def test_files_keep_alpha_beside_the_flattened_picture(cut_out: Image.Image, tiny_weights: Path) -> None:
    data = rnncodec.compress(cut_out, model=tiny_weights, iterations=2)
    flat = Image.fromarray(to_pixels(cut_out)[0])
    plain = rnncodec.compress(flat, model=tiny_weights, iterations=2)
    file = bitstream.read(data)
    assert [kind for kind, _ in file.blocks] == [ALPHA]
    assert bitstream.write(file.header, file.layers) == plain  # what older readers show
    shown = rnncodec.decompress(data, model=tiny_weights)
    assert shown.mode == "RGBA"
    assert np.array_equal(shown.getchannel("A"), cut_out.getchannel("A"))
    known, opaque = rnncodec.decompress(plain, model=tiny_weights), np.asarray(shown)[..., 3] == 255
    assert np.array_equal(np.asarray(shown)[..., :3][opaque], np.asarray(known)[opaque])
    part = rnncodec.decompress(data, model=tiny_weights, region=(30, 20, 40, 25))
    assert np.array_equal(part, np.asarray(shown)[20:45, 30:70])


def test_stripped_files_keep_alpha_and_it_counts_where_the_size_is_the_target(
    cut_out: Image.Image, tiny_weights: Path
) -> None:
    image = cut_out.copy()
    image.info["xmp"] = b"<xmp>"
    data = rnncodec.compress(image, model=tiny_weights, iterations=2)
    stripped = rnncodec.compress(image, model=tiny_weights, iterations=2, strip=True)
    assert bitstream.read(data).metadata.xmp
    assert stripped == bitstream.truncate(bitstream.read(data), len(data), strip=True)
    assert rnncodec.decompress(stripped, model=tiny_weights).mode == "RGBA"
    first = len(rnncodec.compress(image, model=tiny_weights, iterations=1))
    assert len(rnncodec.compress(image, model=tiny_weights, max_bytes=first)) == first
    with pytest.raises(ConfigurationError, match="one layer takes"):
        rnncodec.compress(image, model=tiny_weights, max_bytes=first - 1)


def test_an_alpha_that_is_opaque_everywhere_is_not_written(cut_out: Image.Image, tiny_weights: Path) -> None:
    image = cut_out.convert("RGB")
    opaque = image.convert("RGBA")
    assert rnncodec.compress(opaque, model=tiny_weights) == rnncodec.compress(image, model=tiny_weights)


def test_pillow_opens_files_with_alpha_as_rgba(
    cut_out: Image.Image, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rnncodec.pillow, "MODEL", tiny_weights)
    path = tmp_path / "x.rnnc"
    cut_out.save(path, model=tiny_weights, iterations=1)
    with Image.open(path) as image:
        assert image.mode == "RGBA"
        assert np.array_equal(image.getchannel("A"), cut_out.getchannel("A"))


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_formats_with_alpha_get_it(format_name: str, cut_out: Image.Image) -> None:
    content, notes = encode(cut_out, format_name, Metadata())
    found = Image.open(io.BytesIO(content))
    assert (found.mode, notes) == ("RGBA", [])
    assert np.abs(np.asarray(found)[..., 3].astype(int) - np.asarray(cut_out)[..., 3]).max() <= 4


@pytest.mark.parametrize("format_name", ["JPEG", "BMP", "PPM"])
def test_formats_without_alpha_get_the_picture_over_white_and_a_note(format_name: str, cut_out: Image.Image) -> None:
    content, notes = encode(cut_out, format_name, Metadata())
    assert notes == [f"transparency is flattened onto white: {format_name} files are written without"]
    found = Image.open(io.BytesIO(content)).convert("RGB")
    assert np.abs(np.asarray(found).astype(int) - np.asarray(over_white(cut_out))).mean() < 5
