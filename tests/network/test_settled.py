import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rnncodec.errors import ConfigurationError
from rnncodec.network.codec import STRIDE, IterativeCodec
from rnncodec.network.settled import enlarged, sending, settled
from tests.defaults import codec_config

ITERATIONS = 4


def small_codec(psnr: float, **options: object) -> IterativeCodec:
    torch.manual_seed(0)
    codec = IterativeCodec(codec_config(width=0.03, settled_psnr=psnr, **options)).eval()
    codec.normalization.rms.copy_(torch.linspace(0.3, 0.01, len(codec.normalization.rms)))
    return codec


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 2 * STRIDE, 3 * STRIDE, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def median_psnr(images: Tensor) -> float:
    """That of the blocks after the first iteration, less a little."""
    _, first = next(small_codec(99.0, linear_path=True).iterate(images, 1))
    errors = functional.avg_pool2d((images - first).square().mean(dim=1), STRIDE)
    return float(-10.0 * errors.median().log10()) - 1e-3


def test_a_block_is_settled_from_its_psnr_on_but_not_before_the_first_iteration() -> None:
    errors = torch.tensor([0.0, 39.9, 40.1, 60.0])
    residual = enlarged(10.0 ** (-errors / 20.0).view(1, 1, 1, 4), STRIDE)
    residual = residual.expand(-1, 3, -1, -1)
    assert settled(residual, 40.0, 1).flatten().tolist() == [False, False, True, True]
    assert settled(residual, 40.0, torch.tensor(7)).flatten().tolist() == [False, False, True, True]
    assert not settled(residual, 40.0, 0).any()
    assert not settled(torch.zeros_like(residual), 40.0, torch.tensor(0)).any()


@pytest.mark.parametrize("linear_path", [False, True])
def test_settled_blocks_send_only_ones_and_stay_as_they_are(images: Tensor, linear_path: bool) -> None:
    codec = small_codec(1.0, linear_path=linear_path, projections=2)  # each block has 1 dB after the first iteration
    codes, pictures = zip(*codec.iterate(images, ITERATIONS), strict=True)
    assert (codes[0] < 0).any()
    assert all((each == 1).all() for each in codes[1:])
    assert all(torch.equal(each, pictures[0]) for each in pictures[1:])


@pytest.mark.parametrize("linear_path", [False, True])
def test_only_the_settled_blocks_and_the_borders_of_their_neighbours_differ(images: Tensor, linear_path: bool) -> None:
    codec = small_codec(99.0, linear_path=linear_path)
    codes = codec.encode(images, 2)
    codes[1, :, :, 0, 0] = 1
    assert not sending(codes[1])[:, :, 0, 0].any()
    before, after = codec.decode(codes)
    inside = (after - before)[..., : STRIDE - 4, : STRIDE - 4]  # a neighbour's features reach four pixels at most
    assert not inside.any()
    assert (after - before)[..., STRIDE:].any()


def test_decoding_repeats_encoding_bit_for_bit(images: Tensor) -> None:
    codec = small_codec(median_psnr(images), linear_path=True)
    with torch.inference_mode():
        codes, pictures = map(torch.stack, zip(*codec.iterate(images, ITERATIONS), strict=True))
    assert 0 < sending(codes[1]).mean() < 1
    assert torch.equal(codec.encode(images, ITERATIONS), codes.to(torch.int8))
    assert torch.equal(torch.stack(list(codec.decode(codes))), pictures)


def test_training_reaches_every_parameter_where_some_blocks_send(images: Tensor) -> None:
    codec = small_codec(median_psnr(images), linear_path=True).train()
    codes, reconstructions = codec(images, ITERATIONS)
    assert 0 < sending(codes[1]).mean() < 1
    (reconstructions - images).abs().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in codec.parameters())


@pytest.mark.parametrize("value", [0, -3.0, 101, True, "42"])
def test_values_that_are_no_psnr_are_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="settled_psnr must be null, or above 0 and at most 100 dB"):
        codec_config(settled_psnr=value)


def test_one_shot_networks_cannot_have_it() -> None:
    with pytest.raises(ConfigurationError, match="settled_psnr does not fit reconstruction=one_shot"):
        codec_config(settled_psnr=42.0, reconstruction="one_shot")
