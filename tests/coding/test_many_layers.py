"""A network of 32 layers, more than the packaged one has: every way to write and to read files uses all of them."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rnncodec
import rnncodec.pillow
from rnncodec.cli.info import describe
from rnncodec.coding.torch_codec import TorchCodec, load_torch_codec
from rnncodec.distortion.metrics import as_tensor, ms_ssim, psnr
from rnncodec.entropy.quantization import quantize_recurrent
from rnncodec.entropy.recurrent_checkerboard import RecurrentCheckerboard
from rnncodec.fileformat import bitstream
from rnncodec.pictures.limits import MAX_PIXELS, too_large
from rnncodec.pictures.pixels import Pixels
from rnncodec.weights.weights_file import save_model
from tests.bisection import bisecting_codec
from tests.defaults import recurrent_checkerboard_config

LAYERS = 32
TARGETS = {"psnr": psnr, "ms_ssim": ms_ssim}


@pytest.fixture(scope="module")
def deep_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of such a network, with a context model for as many iterations."""
    codec = bisecting_codec(LAYERS)
    shape = recurrent_checkerboard_config(iterations=LAYERS, groups=2, memory=2, hidden=(4, 4))
    codec.context = quantize_recurrent(RecurrentCheckerboard(shape))
    path = tmp_path_factory.mktemp("weights") / "deep.safetensors"
    save_model(codec, path, training={"iterations": LAYERS}, half=False)
    return path


@pytest.fixture(scope="module")
def deep(deep_weights: Path) -> TorchCodec:
    return load_torch_codec(str(deep_weights))


@pytest.fixture(scope="module")
def photo(photos: list[Pixels]) -> Pixels:
    return photos[1]


@pytest.fixture(scope="module")
def whole(deep: TorchCodec, photo: Pixels) -> bytes:
    return deep.compress(photo, LAYERS)


@pytest.fixture(scope="module")
def reached(deep: TorchCodec, photo: Pixels, whole: bytes) -> dict[str, list[float]]:
    """The quality after each layer."""
    shown = list(deep.decode(bitstream.read(whole)))
    return {
        name: [float(measure(as_tensor(each), as_tensor(photo))) for each in shown] for name, measure in TARGETS.items()
    }


def test_each_layer_of_the_network_improves_the_picture(reached: dict[str, list[float]]) -> None:
    assert all(before < after for before, after in pairwise(reached["psnr"]))


def test_eight_layers_are_written_if_nothing_is_asked_for(photo: Pixels, whole: bytes, deep_weights: Path) -> None:
    data = rnncodec.compress(Image.fromarray(photo), model=deep_weights)
    assert bitstream.read(data).layers == bitstream.read(whole).layers[:8]


@pytest.mark.parametrize("layers", [9, 17, 25, LAYERS])
def test_targets_of_size_and_quality_go_up_to_the_last_layer(
    deep: TorchCodec, photo: Pixels, whole: bytes, reached: dict[str, list[float]], deep_weights: Path, layers: int
) -> None:
    end = bitstream.read(whole).ends[layers - 1]
    image = Image.fromarray(photo)
    wanted = bitstream.truncate(whole, end)
    rate = 8 * end / photo[..., 0].size
    assert rnncodec.compress(image, model=deep_weights, bpp=rate * (1 + 1e-9)) == wanted
    for name, values in reached.items():
        least = (values[layers - 2] + values[layers - 1]) / 2
        if max(values[: layers - 1]) < least:
            assert rnncodec.compress(image, model=deep_weights, **{name: least}) == wanted


def test_a_file_cut_anywhere_shows_its_whole_layers(deep: TorchCodec, whole: bytes) -> None:
    file = bitstream.read(whole)
    assert file.header.layers == len(file.layers) == LAYERS
    shown = list(deep.decode(file))
    for layers in (1, 8, 16, 24, 31):
        for cut in (file.ends[layers - 1], file.ends[layers] - 1):
            found = bitstream.read(whole[:cut])
            assert found.layers == file.layers[:layers]
            picture = deep.picture(found.header, found.layers)
            assert picture is not None
            assert np.abs(picture.astype(int) - shown[layers - 1]).max() <= 1


def test_pillow_saves_and_opens_all_layers(
    photo: Pixels, whole: bytes, deep_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rnncodec.pillow, "MODEL", deep_weights)
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "RNNC", model=deep_weights, iterations=LAYERS)
    assert buffer.getvalue() == whole
    shown = np.asarray(Image.open(buffer))
    assert np.array_equal(shown, np.asarray(rnncodec.decompress(whole, model=deep_weights)))


def test_info_lists_all_layers(whole: bytes) -> None:
    described = describe("deep.rnnc", bitstream.read(whole))
    assert described["layers_written"] == LAYERS
    assert [layer["layer"] for layer in described["layers"]] == list(range(1, LAYERS + 1))


def test_the_largest_picture_may_have_as_many_layers() -> None:
    side = int(MAX_PIXELS**0.5)
    assert too_large(side, side, MAX_PIXELS, LAYERS) is None
