from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from rnncodec.network.cells import CELLS
from rnncodec.network.codec import Decoder, IterativeCodec
from rnncodec.network.last_picture import decode_last
from rnncodec.network.reconstruction import RECONSTRUCTIONS, Additive
from tests.defaults import codec_config

ITERATIONS = 4


def small_codec(**options: object) -> IterativeCodec:
    torch.manual_seed(0)
    codec = IterativeCodec(codec_config(width=0.03, **options)).eval()
    if codec.config.residual_normalization:
        codec.normalization.rms.copy_(torch.linspace(0.3, 0.01, len(codec.normalization.rms)))
    return codec


def random_codes(codec: IterativeCodec) -> Tensor:
    codes = torch.randn(ITERATIONS, 2, codec.config.bits, 2, 3, generator=torch.Generator().manual_seed(1)).sign()
    codes[1:, 0, :, 0, 1:] = 1  # settled blocks, where there are any
    return codes


def pictures_of(codec: IterativeCodec, codes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """After each layer: the picture of the loop, and the last picture alone."""
    for layers, expected in enumerate(codec.decode(codes), start=1):
        found = decode_last(codec, codes[:layers])
        assert found is not None
        yield found, expected


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("framework", RECONSTRUCTIONS)
@pytest.mark.parametrize("normalized", [False, True])
def test_the_last_picture_is_that_of_the_loop_but_for_rounding(cell: str, framework: str, normalized: bool) -> None:
    options = {"encoder_cell": cell, "decoder_cell": cell, "reconstruction": framework}
    codec = small_codec(residual_normalization=normalized, **options)
    for found, expected in pictures_of(codec, random_codes(codec)):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"linear_path": True, "projections": 3},  # fewer than layers
        {"linear_path": True, "reconstruction": "one_shot"},
        {"linear_path": True, "decoder_channels": [64, 128, 96], "decoder_hidden_kernels": [3, 3]},
        {"priming": 1, "diffusion": 2},
        {"settled_psnr": 40.0},
        {"settled_psnr": 40.0, "linear_path": True, "projections": 3},
    ],
    ids=str,
)
def test_so_it_is_with_every_option_of_the_decoder(options: dict[str, object]) -> None:
    codec = small_codec(**options)
    for found, expected in pictures_of(codec, random_codes(codec)):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("framework", "times"), [("one_shot", 1), ("additive", 1), ("residual_scaling", ITERATIONS)])
def test_pixels_are_computed_once_where_no_gain_depends_on_them(
    monkeypatch: pytest.MonkeyPatch, framework: str, times: int
) -> None:
    codec = small_codec(reconstruction=framework)
    computed = []
    unfold = Decoder.unfold

    def counted(self: Decoder, cells: Tensor, *weight: Tensor) -> Tensor:
        computed.append(cells)
        return unfold(self, cells, *weight)

    monkeypatch.setattr(Decoder, "unfold", counted)
    decode_last(codec, random_codes(codec))
    assert len(computed) == times


class Brightening(Additive):
    """A framework of another package, whose gain depends on the picture."""

    def gain(self, previous: Tensor, t: int | Tensor) -> Tensor:
        return 1.0 + previous.mean(dim=1, keepdim=True).abs()


def test_a_framework_with_a_gain_of_its_own_goes_through_the_loop() -> None:
    codec = small_codec()
    codec.reconstruction = Brightening()
    for found, expected in pictures_of(codec, random_codes(codec)):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("framework", ["additive", "residual_scaling"])
def test_without_layers_there_is_no_picture(framework: str) -> None:
    assert decode_last(small_codec(reconstruction=framework), []) is None
