import copy

import numpy as np
import pytest
import torch
from torch import nn

from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.precision import convert, fastest
from rnncodec.pictures.pixels import Pixels
from rnncodec.weights.weights_file import load_model
from tests.fixtures import synthetic_photo


@pytest.fixture(scope="module")
def codecs() -> dict[torch.dtype, TorchCodec]:
    """Of the packaged network, in both precisions."""
    codec = load_model()
    return {dtype: TorchCodec(codec, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}


@pytest.mark.parametrize("version", ["newest", "older", "without private functions"])
@pytest.mark.parametrize("capable", [True, False])
def test_bfloat16_is_taken_where_any_version_of_torch_says_that_the_cpu_has_it(
    monkeypatch: pytest.MonkeyPatch, version: str, capable: bool
) -> None:
    private = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    if version == "newest":
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable}, raising=False)
    else:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
        for name in private:
            monkeypatch.setattr(torch.cpu, name, lambda: capable, raising=False)
    if version == "without private functions":
        for name in private:
            monkeypatch.delattr(torch.cpu, name)
        capable = False
    assert fastest(torch.device("cpu")) == (torch.bfloat16 if capable else torch.float32)


@pytest.mark.parametrize("writer", [torch.float32, torch.bfloat16])
def test_file_decodes_alike_in_both_precisions(
    codecs: dict[torch.dtype, TorchCodec], photos: list[Pixels], writer: torch.dtype
) -> None:
    pixels = photos[0][:96, :128]
    file = bitstream.read(codecs[writer].compress(pixels, 3))
    shown = {dtype: each.picture(file.header, file.layers) for dtype, each in codecs.items()}
    first, second = (picture.astype(int) for picture in shown.values() if picture is not None)
    difference = np.abs(first - second)
    assert difference.mean() < 0.25
    assert difference.max() <= 1
    errors = [np.abs(picture - pixels).mean() for picture in (first, second)]
    assert errors[1] == pytest.approx(errors[0], rel=0.01)


def test_network_of_the_caller_keeps_its_precision(tiny_codec: IterativeCodec) -> None:
    TorchCodec(tiny_codec, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in tiny_codec.parameters()} == {torch.float32}


def test_convolutions_in_bfloat16_take_a_state_in_float32_as_in_training(tiny_codec: IterativeCodec) -> None:
    codec = copy.deepcopy(tiny_codec)
    convert(codec, torch.bfloat16)
    cells = [cell for network in (codec.encoder, codec.decoder) for cell in network.cells]
    narrow = [module for cell in cells for module in cell.modules() if isinstance(module, nn.Conv2d)]
    assert len(narrow) > 4
    for convolution in narrow:
        state = torch.zeros(1, convolution.in_channels, 8, 8)
        assert convolution(state).dtype is torch.bfloat16


def test_narrow_picture_is_coded_alike_in_both_precisions(codecs: dict[torch.dtype, TorchCodec]) -> None:
    pixels = synthetic_photo(3, 150, 9)
    errors = []
    for torch_codec in codecs.values():
        *_, shown = torch_codec.decode(bitstream.read(torch_codec.compress(pixels, 3)))
        errors.append(np.abs(shown.astype(int) - pixels).mean())
    assert errors[1] == pytest.approx(errors[0], rel=0.1)
