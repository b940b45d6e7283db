import warnings
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import rnncodec
from rnncodec import bitstream
from rnncodec.codec import CodecConfig, IterativeCodec
from rnncodec.compression import Compressor
from rnncodec.errors import ConfigurationError, FormatError, WrongModelError
from rnncodec.model_file import save_model


@pytest.fixture(scope="session")
def compressor(tiny_codec: IterativeCodec) -> Compressor:
    return Compressor(tiny_codec)


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_any_size_decodes_to_the_encoders_own_pictures(
    compressor: Compressor, height: int, width: int, iterations: int, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    shown = [picture for _, picture in islice(compressor.iterate(pixels), iterations)]
    file = bitstream.read(compressor.compress(pixels, iterations))
    decoded = list(compressor.decode(file))
    assert len(decoded) == iterations
    for picture, expected in zip(decoded, shown, strict=True):
        assert picture.shape == pixels.shape
        assert np.array_equal(picture, expected)


def test_file_cut_at_every_byte_decodes_to_its_last_whole_layer(compressor: Compressor, tiny_weights: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    content = compressor.compress(pixels, 3)
    shown = [picture for _, picture in islice(compressor.iterate(pixels), 3)]
    ends = bitstream.read(content).ends
    for cut in range(len(content)):
        whole = sum(end <= cut for end in ends)
        if whole == 0:
            with pytest.raises(FormatError):
                rnncodec.decompress(content[:cut], model=tiny_weights)
        else:
            with pytest.warns(UserWarning, match=f"decoding {whole} layers: it was cut"):
                image = rnncodec.decompress(content[:cut], model=tiny_weights)
            assert np.array_equal(np.asarray(image), shown[whole - 1])


def test_size_is_that_of_the_raw_bits_and_the_framing(compressor: Compressor) -> None:
    pixels = np.zeros((512, 768, 3), np.uint8)[:64, :96]
    for iterations in (1, 2, 5):
        bits = 32 * (64 // 16) * (96 // 16) * iterations
        assert len(compressor.compress(pixels, iterations)) == bits // 8 + 16 + 3 * iterations


def test_api_round_trip(tiny_weights: Path, photos_dir: Path) -> None:
    path = photos_dir / "photo-0.png"
    data = rnncodec.compress(path, model=tiny_weights)
    assert data == rnncodec.compress(Image.open(path), model=tiny_weights)
    assert bitstream.read(data).header.layers == 3  # as the weights file says it was trained for
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = rnncodec.decompress(data, model=tiny_weights)
        first = rnncodec.decompress(data, model=tiny_weights, iterations=1)
    assert image.size == Image.open(path).size
    assert first.tobytes() != image.tobytes()


def test_gradients_are_as_they_were_between_two_layers(compressor: Compressor) -> None:
    for _ in islice(compressor.iterate(np.zeros((16, 16, 3), np.uint8)), 2):
        assert not torch.is_inference_mode_enabled()


def test_file_of_other_weights_is_refused(compressor: Compressor, tmp_path: Path) -> None:
    torch.manual_seed(1)
    other = tmp_path / "other.safetensors"
    save_model(IterativeCodec(CodecConfig(width=0.03)), other, training={"iterations": 3}, half=False)
    data = compressor.compress(np.zeros((16, 16, 3), np.uint8), 1)
    with pytest.raises(WrongModelError, match=compressor.identities[bitstream.RAW].hex()):
        rnncodec.decompress(data, model=other)
    with pytest.raises(WrongModelError, match="none of the released ones"):
        rnncodec.decompress(data)


def test_layers_that_do_not_fit_the_header_are_refused(compressor: Compressor) -> None:
    header = bitstream.Header(compressor.identities[bitstream.RAW], bitstream.RAW, 32, 32, 32, 1)
    with pytest.raises(FormatError, match="needs 16"):
        list(compressor.decode(bitstream.File(header, [b"short"], [0])))
    unknown = bitstream.Header(compressor.identities[bitstream.RAW], 77, 32, 32, 32, 1)
    with pytest.raises(FormatError, match="coder 77"):
        list(compressor.decode(bitstream.File(unknown, [bytes(16)], [0])))


@pytest.mark.parametrize("iterations", [0, -1, 256])
def test_iterations_out_of_range_are_refused(compressor: Compressor, iterations: int) -> None:
    with pytest.raises(ConfigurationError, match="iterations must be"):
        compressor.compress(np.zeros((16, 16, 3), np.uint8), iterations)


def test_unknown_device_is_refused(tiny_config: CodecConfig) -> None:
    with pytest.raises(ConfigurationError, match="warp-drive"):
        Compressor(IterativeCodec(tiny_config), "warp-drive")
