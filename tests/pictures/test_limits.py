from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnncodec
from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.errors import FormatError
from rnncodec.fileformat import bitstream
from rnncodec.pictures.limits import LAYERS, MAX_PIXELS, most_blocks, too_large


@given(st.integers(60, 60_000), st.integers(60, 60_000), st.integers(1, LAYERS))
def test_pictures_that_are_not_thin_are_limited_by_their_pixels_alone(width: int, height: int, layers: int) -> None:
    assert (too_large(width, height, MAX_PIXELS, layers) is None) == (width * height <= MAX_PIXELS)
    assert too_large(width, height, width * height, layers) is None


@given(st.integers(1, 2**28), st.integers(1, 2**28), st.integers(1, 255))
def test_the_work_on_any_picture_within_the_limits_is_bounded(width: int, height: int, layers: int) -> None:
    blocks = -(-width // 16) * -(-height // 16)
    if too_large(width, height, MAX_PIXELS, layers) is None:
        assert blocks <= most_blocks(MAX_PIXELS) <= 1.3 * MAX_PIXELS / 256
        assert blocks * layers <= (LAYERS + 1) * most_blocks(MAX_PIXELS)


@pytest.mark.parametrize(
    ("width", "height", "layers", "message"),
    [
        (MAX_PIXELS, 1, 1, "11,184,811 blocks of 16×16 pixels, more than the limit of 873,877 blocks"),
        (2000, 2000, 255, "its 255 layers of 2000×2000 pixels are more than the limit of 87 layers"),
        (20_000, 20_000, 1, "its 20000×20000 pixels are more than the limit of 178,956,970 pixels"),
    ],
)
def test_small_files_that_claim_much_are_refused_before_the_work_and_name_the_option(
    width: int, height: int, layers: int, message: str, context_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TorchCodec, "codes", lambda *_: pytest.fail("the layers are read"))
    model = TorchCodec(rnncodec.load_model(context_weights))
    header = bitstream.Header(model.identity, model.coder, width, height, model.bits, layers)
    data = bitstream.write(header, [b""] * layers)
    for decompress in (
        rnncodec.decompress,
        lambda data, **options: next(rnncodec.decompress_layers([data], max_pixels=MAX_PIXELS, **options)),
    ):
        with pytest.raises(FormatError, match=message) as refused:
            decompress(data, model=context_weights)
        assert "--max-pixels" in str(refused.value)


def test_the_limit_is_lower_where_the_states_of_all_tiles_are_kept(context_weights: Path) -> None:
    model = TorchCodec(rnncodec.load_model(context_weights))
    header = bitstream.Header(model.identity, model.coder, 10_000, 5_000, model.bits, 1)
    data = bitstream.write(header, [b""])
    with pytest.raises(FormatError, match=r"more than the limit of 44,739,242 pixels; .* max_pixels="):
        next(rnncodec.decompress_layers([data], model=context_weights))


def test_the_limits_are_raised_in_proportion_and_layers_that_are_not_wanted_do_not_count(context_weights: Path) -> None:
    assert too_large(MAX_PIXELS, 1, 16 * MAX_PIXELS) is None
    assert too_large(2000, 2000, 6 * MAX_PIXELS, 255) is None
    model = TorchCodec(rnncodec.load_model(context_weights))
    data = bitstream.write(bitstream.Header(model.identity, model.coder, 48, 32, model.bits, 255), [b""] * 255)
    with pytest.raises(FormatError, match="255 layers"):
        rnncodec.decompress(data, model=context_weights, max_pixels=48 * 32)
    shown = rnncodec.decompress(data, model=context_weights, max_pixels=48 * 32, layers=2)
    assert shown.size == (48, 32)
