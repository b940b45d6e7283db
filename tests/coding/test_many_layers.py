"""A network of 32 layers, more than the packaged one has: every way to write and to read files uses all of them."""

import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import rnncodec
import rnncodec.pillow
from rnncodec.cli.info import describe
from rnncodec.coding.targets import Draft, Target
from rnncodec.coding.torch_codec import TorchCodec, load_torch_codec
from rnncodec.distortion import metrics
from rnncodec.distortion.metrics import as_tensor, ms_ssim, psnr
from rnncodec.entropy.quantization import quantize_recurrent
from rnncodec.entropy.recurrent_checkerboard import RecurrentCheckerboard
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import Decoder
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
    wanted = bitstream.truncate(bitstream.read(whole), end)
    rate = 8 * end / photo[..., 0].size
    assert rnncodec.compress(image, model=deep_weights, bpp=rate * (1 + 1e-9)) == wanted
    for name, values in reached.items():
        least = (values[layers - 2] + values[layers - 1]) / 2
        if max(values[: layers - 1]) < least:
            assert rnncodec.compress(image, model=deep_weights, **{name: least}) == wanted


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many pictures the decoder computes, and how often a quality is measured."""
    calls = {"pixels": 0, "measure": 0}

    def count(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls[name] += 1
            return function(*arguments)

        return call

    monkeypatch.setattr(Decoder, "pixels", count("pixels", Decoder.pixels))
    for name in ("psnr", "ms_ssim"):
        monkeypatch.setattr(metrics, name, count("measure", getattr(metrics, name)))
    return calls


def test_a_target_of_size_measures_nothing_and_computes_what_the_next_layer_needs(
    deep: TorchCodec, photo: Pixels, whole: bytes, counted: dict[str, int]
) -> None:
    ends = bitstream.read(whole).ends
    deep.compress(photo, target=Target(max_bytes=ends[9]))
    assert counted == {"pixels": 10, "measure": 0}  # the 11th layer, which does not fit, is coded
    counted["pixels"] = 0
    deep.compress(photo, target=Target(max_bytes=ends[-1]))
    assert counted == {"pixels": LAYERS - 1, "measure": 0}


def test_a_target_of_quality_measures_up_to_the_layer_that_reaches_it(
    deep: TorchCodec, photo: Pixels, reached: dict[str, list[float]], counted: dict[str, int]
) -> None:
    for name, values in reached.items():
        data = deep.compress(photo, target=Target(**{name: values[11]}))
        assert bitstream.read(data).header.layers == 12
        assert counted == {"pixels": 12, "measure": 12}
        counted.update(pixels=0, measure=0)


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


@pytest.mark.parametrize(
    ("estimated", "expected"), [(9, [(10, 3)]), (10, [(11, 3)]), (11, [(12, 3), (12, 12)]), (7, [(8, 3), (10, 5)])]
)
def test_of_a_large_picture_only_the_qualities_near_the_estimated_layer_are_measured(
    deep: TorchCodec,
    reached: dict[str, list[float]],
    photo: Pixels,
    whole: bytes,
    monkeypatch: pytest.MonkeyPatch,
    estimated: int,
    expected: list[tuple[int, int]],
) -> None:
    """Ten layers reach the target. ``expected`` are the layers that are computed in turn, and the measured ones."""
    found = []
    encode_tiles = TorchCodec._encode_tiles

    def noted(self: TorchCodec, *arguments: Any) -> list[Any]:
        layers = encode_tiles(self, *arguments)
        found.append((len(layers), sum(quality is not None for _, quality in layers)))
        return layers

    monkeypatch.setattr(TorchCodec, "_encode_tiles", noted)
    draft = Draft(Target(psnr=reached["psnr"][9]), photo, LAYERS, b"".join, 0)
    deep._tile_by_tile(draft, deep._tiles(*photo.shape[:2]), estimated + 1, lambda layers: None, 0)
    assert found == expected
    assert draft.finished() == b"".join(bitstream.read(whole).layers[:10])
