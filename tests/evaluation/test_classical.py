import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFile

from rnncodec.errors import ConfigurationError
from rnncodec.evaluation.classical import CLASSICAL, classical
from rnncodec.evaluation.measure import measure_classical
from rnncodec.pictures.pixels import Pixels


def available(name: str) -> None:
    try:
        classical(name)
    except ConfigurationError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", CLASSICAL)
def test_better_settings_give_larger_files_and_better_pictures(name: str, photos: list[Pixels]) -> None:
    available(name)
    codec, photo = CLASSICAL[name], photos[1]
    assert list(codec.settings) == sorted(codec.settings)
    assert all(codec.decode(codec.encode(photo, setting)).shape == photo.shape for setting in codec.settings)
    ends = codec.settings[0], codec.settings[-1]
    worst, best = measure_classical(replace(codec, settings=ends), photo)
    assert (worst.setting, best.setting) == ends
    assert best.bytes > 2 * worst.bytes
    assert best.ms_ssim > worst.ms_ssim
    assert best.psnr > worst.psnr + 2
    assert worst.bpp == 8 * worst.bytes / (photo.shape[0] * photo.shape[1])


@pytest.mark.parametrize("name", CLASSICAL)
def test_files_are_the_same_every_time(name: str, photos: list[Pixels]) -> None:
    available(name)
    codec = CLASSICAL[name]
    setting = codec.settings[len(codec.settings) // 2]
    assert codec.encode(photos[0], setting) == codec.encode(photos[0], setting)


@pytest.mark.parametrize(("name", "sampling"), [("jpeg", (2, 2)), ("jpeg444", (1, 1)), ("jpeg_progressive", (2, 2))])
def test_jpeg_has_the_subsampling_and_the_scans_it_says(
    name: str, sampling: tuple[int, int], photos: list[Pixels]
) -> None:
    image = Image.open(io.BytesIO(CLASSICAL[name].encode(photos[0], 50)))
    assert image.layer[0][1:3] == sampling
    assert bool(image.info.get("progressive")) == (name == "jpeg_progressive")


def test_jpeg_2000_has_its_colour_transform(photos: list[Pixels]) -> None:
    content = CLASSICAL["jpeg2000"].encode(photos[0], 1.0)
    style = content.index(b"\xff\x52") + 5  # behind the COD marker, its length and the style: the order of progression
    assert content[style + 3] == 1  # "multiple component transformation used"


def test_unknown_baseline_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown baseline 'gif'; choose from jpeg"):
        classical("gif")


@pytest.mark.parametrize("name", [name for name in CLASSICAL if name.startswith("jpeg") and name != "jpeg2000"])
def test_jpeg_files_of_noise_are_written(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "MAXBLOCK", 1 << 16)
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    for setting in CLASSICAL[name].settings:
        assert CLASSICAL[name].decode(CLASSICAL[name].encode(noise, setting)).shape == noise.shape
