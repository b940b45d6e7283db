import numpy as np
import pytest
import torch

from rnncodec import bitstream
from rnncodec.codec import IterativeCodec
from rnncodec.compression import Compressor
from rnncodec.imaging import Pixels
from rnncodec.model_file import load_model
from tests.conftest import synthetic_photo


@pytest.fixture(scope="module")
def compressors() -> dict[torch.dtype, Compressor]:
    """Of the packaged network, in both precisions."""
    codec = load_model()
    return {dtype: Compressor(codec, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}


@pytest.mark.parametrize("writer", [torch.float32, torch.bfloat16])
def test_file_decodes_alike_in_both_precisions(
    compressors: dict[torch.dtype, Compressor], photos: list[Pixels], writer: torch.dtype
) -> None:
    pixels = photos[0][:96, :128]
    file = bitstream.read(compressors[writer].compress(pixels, 3))
    shown = {dtype: each.picture(file.header, file.layers) for dtype, each in compressors.items()}
    first, second = (picture.astype(int) for picture in shown.values() if picture is not None)
    difference = np.abs(first - second)
    assert difference.mean() < 0.25
    assert difference.max() <= 1
    errors = [np.abs(picture - pixels).mean() for picture in (first, second)]
    assert errors[1] == pytest.approx(errors[0], rel=0.01)


def test_network_of_the_caller_keeps_its_precision(tiny_codec: IterativeCodec) -> None:
    Compressor(tiny_codec, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in tiny_codec.parameters()} == {torch.float32}


def test_narrow_picture_is_coded_alike_in_both_precisions(compressors: dict[torch.dtype, Compressor]) -> None:
    pixels = synthetic_photo(3, 150, 9)
    errors = []
    for compressor in compressors.values():
        *_, shown = compressor.decode(bitstream.read(compressor.compress(pixels, 3)))
        errors.append(np.abs(shown.astype(int) - pixels).mean())
    assert errors[1] == pytest.approx(errors[0], rel=0.1)
