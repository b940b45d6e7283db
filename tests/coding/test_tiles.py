"""Large pictures in tiles. Small tiles stand for large pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncodec.coding.targets import Target
from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.distortion.metrics import as_tensor, ms_ssim, psnr
from rnncodec.errors import ConfigurationError
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec
from rnncodec.pictures.pixels import Pixels
from rnncodec.pictures.tiles import Region, Tiling, overlap, within
from tests.fixtures import synthetic_photo


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([2, 4, 16]), st.sampled_from([0, 2, 4]))
def test_middles_fill_the_grid_once_and_lie_in_their_tile(height: int, width: int, side: int, halo: int) -> None:
    filled = np.zeros((height, width), int)
    grid = np.arange(height * width).reshape(height, width)
    for tile in Tiling(side, halo).tiles(height, width):
        filled[tile.middle] += 1
        assert np.array_equal(grid[tile.whole][tile.inner], grid[tile.middle])
        assert max(grid[tile.middle].shape) <= side
        assert all(part.start % 2 == 0 for part in tile.whole)
    assert (filled == 1).all()


def test_small_grid_is_one_tile_without_a_halo() -> None:
    (tile,) = Tiling(8, 2).tiles(8, 3)
    assert tile.middle == tile.whole == tile.inner == (slice(0, 8), slice(0, 3))


def test_overlap_of_windows() -> None:
    first, second = (slice(0, 5), slice(2, 9)), (slice(3, 8), slice(4, 6))
    shared = overlap(first, second)
    assert shared == (slice(3, 5), slice(4, 6))
    assert within(shared, second) == (slice(0, 2), slice(0, 2))
    assert overlap(first, (slice(5, 8), slice(4, 6))) is None


@pytest.fixture(scope="module")
def photo() -> Pixels:
    """Of sides that are no multiples of 16: 3 × 4 tiles of `tiled`."""
    return synthetic_photo(7, 167, 250)


@pytest.fixture(scope="module")
def whole(context_codec: IterativeCodec) -> TorchCodec:
    return TorchCodec(context_codec)


@pytest.fixture(scope="module")
def tiled(context_codec: IterativeCodec) -> TorchCodec:
    return TorchCodec(context_codec, tiling=Tiling(side=4, halo=2))


def error(first: Pixels, second: Pixels) -> float:
    return float(np.abs(first.astype(int) - second).mean())


def test_tiled_files_and_pictures_are_nearly_those_of_the_whole_picture(
    whole: TorchCodec, tiled: TorchCodec, photo: Pixels
) -> None:
    files = [bitstream.read(each.compress(photo, 3)) for each in (whole, tiled)]
    shown = [each.picture(file.header, file.layers) for each in (whole, tiled) for file in files]
    for picture in shown:
        assert picture is not None
        assert picture.shape == photo.shape
        assert shown[0] is not None
        assert error(picture, shown[0]) < 0.5
    codes = [list(whole.codes(file.header, file.layers)) for file in files]
    assert np.mean(codes[0] != np.array(codes[1])) < 0.02


def test_without_a_halo_seams_are_worse(context_codec: IterativeCodec, whole: TorchCodec, photo: Pixels) -> None:
    file = bitstream.read(whole.compress(photo, 3))
    *_, expected = whole.decode(file)
    errors = []
    for halo in (0, 2):
        torch_codec = TorchCodec(context_codec, tiling=Tiling(side=4, halo=halo))
        *_, shown = torch_codec.decode(file)
        errors.append(error(shown, expected))
    assert errors[1] < 0.5 * errors[0]


def test_picture_that_fits_into_a_tile_is_coded_as_without_tiles(
    context_codec: IterativeCodec, whole: TorchCodec, photo: Pixels
) -> None:
    tiled = TorchCodec(context_codec, tiling=Tiling(side=4, halo=2))
    pixels = photo[:64, :50]
    content = tiled.compress(pixels, 3)
    assert content == whole.compress(pixels, 3)
    file = bitstream.read(content)
    assert all(map(np.array_equal, whole.decode(file), tiled.decode(file)))


def test_last_picture_and_the_pictures_of_all_layers_agree(tiled: TorchCodec, photo: Pixels) -> None:
    file = bitstream.read(tiled.compress(photo, 3))
    pictures = list(tiled.decode(file))
    for layers, picture in enumerate(pictures, start=1):
        last = tiled.picture(file.header, file.layers[:layers])
        assert last is not None
        assert np.abs(last.astype(int) - picture).max() <= 1  # a sum of features is rounded in another way
        assert np.mean(last != picture) < 0.001
    assert tiled.picture(file.header, []) is None


@given(st.data())
def test_region_is_a_part_of_the_whole_picture(tiled: TorchCodec, photo: Pixels, data: st.DataObject) -> None:
    file = bitstream.read(tiled.compress(photo[:70, :100], 1))
    *_, shown = tiled.decode(file)
    x, y = data.draw(st.integers(0, 99)), data.draw(st.integers(0, 69))
    region = Region(x, y, data.draw(st.integers(1, 100 - x)), data.draw(st.integers(1, 70 - y)))
    expected = shown[y : y + region.height, x : x + region.width]
    assert np.array_equal(tiled.picture(file.header, file.layers, region), expected)


@pytest.mark.parametrize("region", [(-1, 0, 5, 5), (0, 0, 0, 5), (240, 0, 11, 5), (0, 160, 5, 8)])
def test_region_outside_of_the_picture_is_refused(
    tiled: TorchCodec, photo: Pixels, region: tuple[int, int, int, int]
) -> None:
    file = bitstream.read(tiled.compress(photo, 1))
    with pytest.raises(ConfigurationError, match="region"):
        tiled.picture(file.header, file.layers, Region(*region))


def test_only_the_tiles_of_a_region_are_decoded(
    tiled: TorchCodec, photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = bitstream.read(tiled.compress(photo, 2))
    runs = []
    step = IterativeCodec.decode_features
    monkeypatch.setattr(
        IterativeCodec,
        "decode_features",
        lambda *arguments: runs.append(1) or step(*arguments),  # type: ignore[func-returns-value]
    )
    tiled.picture(file.header, file.layers, Region(60, 60, 8, 3))  # of two tiles
    assert len(runs) == 2 * 2


def test_targets_of_size_are_met_as_by_cutting(tiled: TorchCodec, photo: Pixels) -> None:
    content = tiled.compress(photo, 4)
    for end in bitstream.read(content).ends[1:3]:
        assert tiled.compress(photo, 4, target=Target(max_bytes=end)) == bitstream.truncate(
            bitstream.read(content), end
        )
    with pytest.raises(ConfigurationError, match="the least that can be written"):
        tiled.compress(photo, 4, target=Target(max_bytes=20))


@pytest.mark.parametrize(("name", "measure"), [("psnr", psnr), ("ms_ssim", ms_ssim)])
def test_targets_of_quality_are_met(context_codec: IterativeCodec, name: str, measure: object) -> None:
    """Each tile has at least the 176 pixels a side that MS-SSIM needs."""
    assert callable(measure)
    photo = synthetic_photo(8, 180, 370)
    tiled = TorchCodec(context_codec, tiling=Tiling(side=12, halo=2))
    file = bitstream.read(tiled.compress(photo, 3))
    reached = [float(measure(as_tensor(shown), as_tensor(photo))) for shown in tiled.decode(file)]
    best = max(reached)
    first = next(t for t, quality in enumerate(reached, start=1) if quality >= best)
    content = tiled.compress(photo, 3, target=Target(**{name: best - 0.01}))
    assert bitstream.read(content).header.layers <= first
    with pytest.raises(ConfigurationError, match="with 3 layers the picture reaches"):
        tiled.compress(photo, 3, target=Target(**{name: best + 0.01}))


def test_work_adds_up_to_the_layers(tiled: TorchCodec, whole: TorchCodec, photo: Pixels) -> None:
    for torch_codec in (tiled, whole):
        encoded: list[float] = []
        decoded: list[float] = []
        file = bitstream.read(torch_codec.compress(photo, 3, on_work=encoded.append))
        torch_codec.picture(file.header, file.layers, on_work=decoded.append)
        assert sum(encoded) == pytest.approx(3)
        assert sum(decoded) == pytest.approx(3)
