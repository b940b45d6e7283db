import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnncodec.network.codec import IterativeCodec
from rnncodec.network.reconstruction import RECONSTRUCTIONS, Additive, OneShot, ResidualScaling
from tests.defaults import codec_config


@pytest.fixture(scope="module")
def scaling() -> ResidualScaling:
    torch.manual_seed(0)
    framework = ResidualScaling()
    for parameter in framework.parameters():
        nn.init.normal_(parameter, std=0.2)
    return framework.eval()


def random_pictures(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_one_shot_takes_the_decoded_picture_for_the_whole() -> None:
    decoded, previous = random_pictures(2, 1, 3, 32, 32)
    assert torch.equal(OneShot()(decoded, previous, torch.tensor(4.0)), decoded)


@pytest.mark.parametrize("name", ["additive", "residual_scaling"])
def test_additive_frameworks_add_the_decoded_residual_over_the_gain(name: str) -> None:
    decoded, previous = random_pictures(2, 1, 3, 32, 32)
    gain = 1 + random_pictures(1, 1, 32, 32).abs()
    torch.testing.assert_close(RECONSTRUCTIONS[name]()(decoded, previous, gain), previous + decoded / gain)


@pytest.mark.parametrize("framework", [OneShot(), Additive()])
@pytest.mark.parametrize("t", [0, 1])
def test_one_shot_and_additive_have_no_gain(framework: OneShot | Additive, t: int) -> None:
    assert framework.gain(random_pictures(1, 3, 32, 32), t).item() == 1.0


@torch.no_grad()
def test_the_gain_of_residual_scaling_is_one_at_first_and_above_one_later(scaling: ResidualScaling) -> None:
    previous = random_pictures(2, 3, 64, 64)
    assert scaling.gain(previous, 0).item() == 1.0
    assert scaling.gain(previous, 1).min() > 1.0
    for t in (0, 1):  # as a tensor, for graphs
        assert (scaling.gain(previous, torch.tensor(t)) == scaling.gain(previous, t)).all()


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (48, 80), (16, 16), (16, 112)])
def test_residual_scaling_has_one_gain_for_each_patch_of_32_pixels(
    scaling: ResidualScaling, height: int, width: int
) -> None:
    previous = random_pictures(2, 3, height, width)
    gain = scaling.gain(previous, 1)
    assert gain.shape == (2, 1, height, width)
    for top in range(0, height, 32):
        for left in range(0, width, 32):
            patch = gain[:, 0, top : top + 32, left : left + 32].flatten(1)
            assert torch.equal(patch, patch[:, :1].expand_as(patch))
    patches = gain[:, 0, ::32, ::32]
    assert len(patches.unique()) == patches.numel()


@torch.no_grad()
def test_the_gain_is_two_plus_five_strided_convolutions_with_elu(scaling: ResidualScaling) -> None:
    previous = x = random_pictures(1, 3, 64, 64)
    convolutions = [module for module in scaling.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.out_channels for conv in convolutions] == [32, 32, 32, 32, 1]
    for conv in convolutions:
        x = functional.elu(functional.conv2d(x, conv.weight, conv.bias, stride=2, padding=1))
    torch.testing.assert_close(scaling.gain(previous, 1)[..., ::32, ::32], 2 + x)


@torch.no_grad()
@pytest.mark.parametrize("name", RECONSTRUCTIONS)
@pytest.mark.parametrize("normalized", [False, True])
def test_the_loop_follows_the_equations_of_the_framework(name: str, normalized: bool, images: Tensor) -> None:
    torch.manual_seed(0)
    config = codec_config(width=0.03, reconstruction=name, residual_normalization=normalized)
    codec = IterativeCodec(config).eval()
    scales = [1.0, 1.0, 1.0]
    if normalized:
        scales = [0.3, 0.2, 0.1]
        codec.normalization.rms[:3] = torch.tensor(scales)

    target = images - 0.5
    reconstruction = torch.zeros_like(target)
    encoder_state = decoder_state = None
    for t, (codes, picture) in enumerate(codec.iterate(images, 3)):
        gain = torch.ones(())
        if name == "residual_scaling" and t > 0:
            gain = 2 + codec.reconstruction.network(reconstruction)
            gain = gain.repeat_interleave(32, -1).repeat_interleave(32, -2)[..., :32, :48]
        residual = (target - reconstruction) * gain / scales[t]
        features, encoder_state = codec.encoder(residual, encoder_state)
        agreement = (codec.binarizer(codec.binarizer.project(features, t)) == codes).float().mean()
        features, decoder_state = codec.decoder(codes, decoder_state, t)
        decoded = codec.decoder.pixels(features, t)
        before = 0 if name == "one_shot" else reconstruction
        size = 1.0 if name == "one_shot" else scales[t] / gain
        reconstruction = before + decoded * size
        assert agreement > 0.99  # a feature may be so near 0 that rounding turns its sign
        torch.testing.assert_close(picture, reconstruction + 0.5, rtol=1e-4, atol=1e-5)
