from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import rnncodec
from rnncodec.coding.torch_codec import load_torch_codec
from rnncodec.evaluation.measure import measure
from rnncodec.fileformat import bitstream
from rnncodec.pictures.pixels import Pixels, read_pixels
from rnncodec.weights.released import DEFAULT_MODEL, released_models, released_name
from rnncodec.weights.weights_file import model_identity

MODELS = sorted(released_models())


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return read_pixels(Path(str(files("skimage") / "data" / "coffee.png")))[40:296, 100:420]


def test_default_model_is_released_and_small_enough_for_the_package() -> None:
    assert DEFAULT_MODEL in MODELS
    assert released_models()[DEFAULT_MODEL].stat().st_size <= 16_000_000


@pytest.mark.parametrize("name", MODELS)
def test_released_model_has_a_card_and_the_identity_it_names(name: str) -> None:
    assert released_models()[name].with_suffix(".md").read_text().startswith(f"# {name}")
    assert released_name(model_identity(rnncodec.load_model(name))) == name


@pytest.mark.parametrize("name", MODELS)
def test_released_model_compresses_a_photo_well(name: str, photo: Pixels) -> None:
    points = measure(load_torch_codec(name), photo, 6)
    qualities = [point.ms_ssim for point in points]
    assert qualities == sorted(qualities)  # no layer makes the picture worse
    assert qualities[1] > 0.93


@pytest.mark.parametrize("name", MODELS)
def test_files_find_their_model_by_themselves(name: str, photo: Pixels) -> None:
    data = load_torch_codec(name).compress(photo, 2)
    assert bitstream.read(data).header.layers == 2
    assert np.asarray(rnncodec.decompress(data)).shape == photo.shape


def test_network_for_squared_error_has_the_higher_psnr_in_fewer_bytes(photo: Pixels) -> None:
    light, squared = (measure(load_torch_codec(name), photo, 8)[-1] for name in ("light", "light-mse"))
    assert squared.psnr > light.psnr
    assert squared.bytes < light.bytes
