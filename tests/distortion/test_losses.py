import math

import pytest
import skimage.data
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from pytorch_msssim import ssim as reference_ssim
from scipy.stats import spearmanr
from torch import Tensor, nn

from rnncodec.distortion.losses import HVS, L1, L2, MSSSIM, SSIMULACRA2, Decibels, L1AndMSSSIM, SSIMWeightedL1
from rnncodec.distortion.losses.weighted import dissimilarity
from rnncodec.distortion.metrics import ms_ssim, psnr, psnr_hvs
from rnncodec.distortion.ssimulacra2 import ssimulacra2
from tests.defaults import CONF

with initialize_config_dir(str(CONF / "loss"), version_base="1.3"):
    CHOICES = {path.stem: instantiate(compose(path.stem)) for path in (CONF / "loss").glob("*.yaml")}
LOSSES = CHOICES | {
    "l1_ms_ssim, falling": L1AndMSSSIM(share=0.84, fall=0.8),
    "decibels, hvs": Decibels(share=0.9, fall=0.9, hvs=0.5),
    "decibels, ssimulacra2": Decibels(share=0.5, fall=0.9, hvs=0.5, ssimulacra2=0.3),
}


def pictures(side: int) -> tuple[Tensor, Tensor]:
    """Reconstructions ``[2, 2, 3, side, side]``, the first iteration's worse, of smooth images."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 8, 8, generator=generator)
    images = nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    noise = torch.randn(2, *images.shape, generator=generator) * torch.tensor([0.1, 0.03]).view(2, 1, 1, 1, 1)
    return (images + noise).clamp(0, 1), images


def test_pixelwise_losses_follow_the_equations() -> None:
    images, reconstructions = torch.rand(2, 3, 16, 16), torch.rand(4, 2, 3, 16, 16)
    beta = 1 / (2 * 16 * 16 * 3 * 4)
    paper = beta * sum((images - x).abs().sum() for x in reconstructions)
    torch.testing.assert_close(L1()(reconstructions, images).mean(), paper)
    torch.testing.assert_close(L2()(reconstructions, images)[1], torch.mean((images - reconstructions[1]) ** 2))


def test_ms_ssim_of_the_loss_equals_the_measured_one() -> None:
    reconstructions, images = pictures(192)
    expected = [1 - ms_ssim(255 * x, 255 * images).mean() for x in reconstructions]
    torch.testing.assert_close(MSSSIM()(reconstructions, images), torch.stack(expected), rtol=0, atol=1e-5)


def test_the_squared_error_that_the_eye_sees_is_that_of_psnr_hvs() -> None:
    reconstructions, images = pictures(64)
    expected = [psnr_hvs((255 * x).round(), (255 * images[:1]).round())[0] for x in reconstructions[:, :1]]
    found = -10 * HVS()(reconstructions[:, :1], images[:1]).log10()
    torch.testing.assert_close(found.double(), torch.stack(expected).double(), rtol=0, atol=0.05)


def test_the_weights_of_ssim_weighted_l1_agree_with_an_independent_ssim() -> None:
    reconstructions, images = pictures(48)
    weights = dissimilarity(reconstructions, images)[..., 5:-5, 5:-5]  # where the window needs no mirrored pixels
    expected = torch.stack([(1 - reference_ssim(x, images, data_range=1.0)) / 2 for x in reconstructions])
    torch.testing.assert_close(weights.mean(dim=(1, 2, 3, 4)), expected, rtol=0, atol=1e-4)


def damaged(image: Tensor) -> dict[str, Tensor]:
    """Copies of ``image`` ``[1, 3, H, W]`` in [0, 1], each damaged in another way, as 8-bit pixels in [0, 1]."""
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(2))
    blurred = nn.functional.avg_pool2d(image, 5, stride=1, padding=2, count_include_pad=False)
    copies = {
        "noise": image + 0.05 * noise,
        "blur": blurred,
        "sharper": image + 1.5 * (image - blurred),
        "brighter": image + 0.06,
        "colour": image * torch.tensor([1.1, 1.0, 0.9])[:, None, None],
        "blocks": nn.functional.interpolate(nn.functional.avg_pool2d(image, 8), scale_factor=8, mode="nearest"),
        "levels": (image * 9).round() / 9,
    }
    return {name: (255 * copy).round().clamp(0, 255) / 255 for name, copy in copies.items()}


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """A photo of 256×256 pixels, ``[1, 3, 256, 256]`` in [0, 1], whose darkest pixels are black."""
    pixels = torch.from_numpy(skimage.data.astronaut()[:512:2, :512:2].copy())
    return (pixels.permute(2, 0, 1)[None] / 255.0).contiguous()


def test_the_loss_is_the_score_that_is_measured(photo: Tensor) -> None:
    for name, copy in damaged(photo).items():
        measured = ssimulacra2(255 * copy, 255 * photo)
        found = 100 - 100 * float(SSIMULACRA2()(copy[None], photo))
        assert found == pytest.approx(measured, abs=1e-3), name


def test_the_loss_of_patches_follows_the_score_of_the_whole_photo(photo: Tensor) -> None:
    patches = photo.unfold(2, 64, 64).unfold(3, 64, 64).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    scores, losses = [], []
    for copy in damaged(photo).values():
        parts = copy.unfold(2, 64, 64).unfold(3, 64, 64).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
        scores.append(ssimulacra2(255 * copy, 255 * photo))
        losses.append(float(SSIMULACRA2()(parts[None], patches)))
    assert spearmanr(scores, losses).statistic < -0.9


@pytest.mark.parametrize("loss", [SSIMULACRA2(), Decibels(share=0.5, fall=1.0, hvs=0.5, ssimulacra2=0.5)])
@pytest.mark.parametrize("side", [16, 64])
def test_gradients_are_finite_for_equal_and_for_impossible_pictures(loss: nn.Module, side: int) -> None:
    _, images = pictures(side)
    black = torch.zeros_like(images)
    for shown, original in ((images, images), (black, black), (images - 0.8, images), (3 * images, images)):
        shown = shown[None].clone().requires_grad_()
        loss(shown, original).sum().backward()
        assert shown.grad is not None
        assert shown.grad.isfinite().all()


def test_a_step_against_the_gradient_raises_the_score(photo: Tensor) -> None:
    for name, copy in damaged(photo).items():
        shown = copy[None].clone().requires_grad_()
        before = SSIMULACRA2()(shown, photo)
        before.sum().backward()
        assert shown.grad is not None
        after = SSIMULACRA2()(shown.detach() - 0.3 / 255 * shown.grad.sign(), photo)
        assert float(after) < float(before), name


def test_errors_where_structure_is_lost_count_more() -> None:
    images = torch.full((1, 3, 32, 32), 0.5)
    images[..., 16:, ::2] = 0.8  # a flat half and a striped one
    flat, striped = images.clone(), images.clone()
    flat[..., :16, :] += 0.2
    striped[..., 16:, :] = 0.65
    reconstruction = torch.where(torch.arange(32)[:, None] < 16, flat, striped)[None]
    weights = dissimilarity(reconstruction, images)[0, 0, 0]
    assert weights[22:].mean() > weights[:10].mean()
    errors = (reconstruction - images).abs().mean(dim=2)[0, 0]
    weighted = (errors * weights / weights.mean()).mean()
    torch.testing.assert_close(SSIMWeightedL1()(reconstruction, images)[0], weighted)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("side", [16, 32, 64])
def test_a_loss_falls_with_the_error_and_has_gradients_everywhere(name: str, side: int) -> None:
    loss = LOSSES[name]
    reconstructions, images = pictures(side)
    reconstructions.requires_grad_()
    worse, better = loss(reconstructions, images)
    perfect = loss(images[None], images)
    assert worse > better > perfect
    (worse + better).backward()
    assert reconstructions.grad is not None
    assert reconstructions.grad.isfinite().all()
    assert (reconstructions.grad != 0).float().mean() > 0.9
    if not isinstance(loss, Decibels):  # a logarithm has no limit
        torch.testing.assert_close(perfect, torch.zeros(1), rtol=0, atol=1e-5)


def test_validation_before_training_does_not_break_it() -> None:
    reconstructions, images = pictures(32)
    with torch.inference_mode():
        MSSSIM()(reconstructions, images)
    reconstructions.requires_grad_()
    MSSSIM()(reconstructions, images).sum().backward()


def test_l1_and_ms_ssim_together_are_between_their_parts() -> None:
    reconstructions, images = pictures(32)
    l1, structure = L1()(reconstructions, images), MSSSIM()(reconstructions, images)
    mixed = L1AndMSSSIM(share=0.25, fall=1.0)(reconstructions, images)
    torch.testing.assert_close(mixed, 0.25 * structure + 0.75 * l1)
    shifting = L1AndMSSSIM(share=0.5, fall=0.5)(reconstructions, images)
    torch.testing.assert_close(shifting[1], 0.25 * structure[1] + 0.75 * l1[1])


def test_decibels_are_between_the_logarithms_of_their_parts() -> None:
    reconstructions, images = pictures(32)
    l2, structure = L2()(reconstructions, images).log(), MSSSIM()(reconstructions, images).log()
    shifting = Decibels(share=0.5, fall=0.5, hvs=0)(reconstructions, images)
    torch.testing.assert_close(shifting, torch.stack([(structure + l2)[0] / 2, structure[1] / 4 + 3 * l2[1] / 4]))


def test_decibels_with_a_share_of_ssimulacra2_are_between_both() -> None:
    reconstructions, images = pictures(32)
    plain, visible = Decibels(share=0.5, fall=0.5, hvs=0.3), SSIMULACRA2()(reconstructions, images).log()
    found = Decibels(share=0.5, fall=0.5, hvs=0.3, ssimulacra2=0.25)(reconstructions, images)
    torch.testing.assert_close(found, 0.75 * plain(reconstructions, images) + 0.25 * visible)


def test_decibels_of_the_squared_error_alone_are_psnr() -> None:
    reconstructions, images = pictures(192)
    found = Decibels(share=0.0, fall=0.9, hvs=0.0)(reconstructions[:, :1], images[:1])
    measured = torch.stack([psnr(255 * x, 255 * images[:1])[0] for x in reconstructions[:, :1]])
    torch.testing.assert_close(-10 / math.log(10) * found, measured)


def test_decibels_count_the_same_gain_alike_however_small_the_error() -> None:
    _, images = pictures(32)
    noise = torch.randn(1, *images.shape, generator=torch.Generator().manual_seed(1))
    loss = Decibels(share=0.0, fall=1.0, hvs=0)
    large, small = (
        loss(images + scale * noise, images) - loss(images + scale / 2 * noise, images) for scale in (0.2, 0.02)
    )
    torch.testing.assert_close(large, small, rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", ["l1", "l1_ms_ssim", "ssim_l1", "decibels, ssimulacra2"])
def test_a_compiled_loss_is_one_program_and_computes_the_same(name: str) -> None:
    torch.compiler.reset()
    reconstructions, images = pictures(64)
    found = []
    # Without the last stage, which compiles C++ for most of a minute. With fullgraph a second piece raises.
    for loss in (LOSSES[name], torch.compile(LOSSES[name], backend="aot_eager", fullgraph=True)):
        shown = reconstructions.clone().requires_grad_()
        losses = loss(shown, images)
        losses.sum().backward()
        found.append((losses.detach(), shown.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)
