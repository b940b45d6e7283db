"""The scale of quality."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import rnncodec
from rnncodec.coding.small_pictures import layers_for
from rnncodec.coding.targets import Quality, Target, bits_per_pixel, mirrored, ms_ssim_of, quality_of, whole_quality
from rnncodec.errors import ConfigurationError
from rnncodec.fileformat.bitstream import Header
from rnncodec.pictures.pixels import Pixels


@pytest.mark.parametrize(("quality", "ms_ssim"), [(1, 0.695), (33, 0.899), (67, 0.969), (100, 0.99)])
def test_the_scale_is_that_of_the_help(quality: int, ms_ssim: float) -> None:
    assert ms_ssim_of(quality) == pytest.approx(ms_ssim, abs=1e-3)
    assert quality_of(ms_ssim_of(quality)) == pytest.approx(quality)


@pytest.mark.parametrize("quality", [0, 101, -3])
def test_a_quality_that_is_not_on_the_scale_is_refused(quality: int) -> None:
    with pytest.raises(ConfigurationError, match="quality"):
        Target(quality=quality)


def test_quality_measures_ms_ssim_and_a_perfect_picture_has_the_highest(photos: list[Pixels]) -> None:
    photo = photos[0]
    noisy = np.clip(photo + np.random.default_rng(0).normal(0, 20, photo.shape), 0, 255).astype(np.uint8)
    by_scale, by_ms_ssim = Quality.of(Target(quality=50), photo), Quality.of(Target(ms_ssim=0.9), photo)
    assert by_scale is not None
    assert by_ms_ssim is not None
    assert by_scale.least == 50
    assert by_scale.measure(noisy, photo) == pytest.approx(quality_of(by_ms_ssim.measure(noisy, photo)))
    assert by_scale.measure(photo, photo) > 200


@given(height=st.integers(1, 200), width=st.integers(1, 200))
def test_small_pictures_are_continued_by_mirror_images(height: int, width: int) -> None:
    pixels = np.arange(height * width * 3).reshape(height, width, 3).astype(np.uint8)
    large = mirrored(pixels, 176)
    assert large.shape == (max(176, height), max(176, width), 3)
    assert np.array_equal(large[:height, :width], pixels)
    if height < 176:
        assert np.array_equal(large[height], large[height - 1])


@given(height=st.integers(1, 999), width=st.integers(1, 999), size=st.integers(1, 10**6))
def test_the_rate_of_a_file_is_a_target_that_it_meets(height: int, width: int, size: int) -> None:
    pixels = np.broadcast_to(np.uint8(0), (height, width, 3))
    assert Target(bpp=bits_per_pixel(size, pixels)).largest(pixels) == size


def test_a_quality_above_its_scale_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"ms_ssim must be at most 1, not 1\.5"):
        Target(ms_ssim=1.5)


def test_parts_give_the_quality_of_the_mean_of_their_ms_ssim() -> None:
    parts = [quality_of(0.9), quality_of(0.98)]
    assert whole_quality(parts, [1, 3]) == pytest.approx(quality_of(0.96))


@pytest.mark.parametrize("side", [40, 190])
def test_a_quality_is_a_target_for_pictures_of_any_size(photos: list[Pixels], tiny_weights: Path, side: int) -> None:
    image = Image.fromarray(photos[0][:side, :side])
    with pytest.raises(ConfigurationError, match=r"with 1 layer the picture .* on the scale of quality, not 100"):
        rnncodec.compress(image, model=tiny_weights, quality=100, iterations=1)


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_smaller_pictures_need_fewer_layers(bits: int) -> None:
    header = Header(b"\0\0\0\0", 0, 640, 480, bits, 40)
    needed = [layers_for(header, scale) for scale in (0.5, 1.0, 1.5, 2.0, 4.0, 16.0, 1000.0)]
    assert needed[:2] == [40, 40]
    assert needed == sorted(needed, reverse=True)
    assert needed[-1] >= 2
    assert layers_for(Header(b"\0\0\0\0", 0, 640, 480, bits, 1), 1000.0) == 1
