import pytest
import torch
from pytorch_msssim import ms_ssim, ssim
from torch import Tensor, nn

from rnncodec.training.losses import L1, L2, MSSSIM, L1AndMSSSIM, SSIMWeightedL1
from rnncodec.training.losses.similarity import similarity

LOSSES = [L1(), L2(), MSSSIM(), L1AndMSSSIM(), SSIMWeightedL1()]


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


def test_similarity_agrees_with_an_independent_ssim_and_ms_ssim() -> None:
    reconstructions, images = pictures(192)
    luminance, structure = similarity(reconstructions, images)
    inside = (luminance * structure)[..., 5:-5, 5:-5].mean(dim=(1, 2, 3, 4))  # where no window needs mirrored pixels
    expected = torch.stack([ssim(x, images, data_range=1.0) for x in reconstructions])
    torch.testing.assert_close(inside, expected, rtol=0, atol=1e-4)
    measured = torch.stack([1 - ms_ssim(x, images, data_range=1.0) for x in reconstructions])
    torch.testing.assert_close(MSSSIM()(reconstructions, images), measured, rtol=0.15, atol=0)  # the edges differ


def test_errors_where_structure_is_lost_count_more() -> None:
    images = torch.full((1, 3, 32, 32), 0.5)
    images[..., 16:, ::2] = 0.8  # a flat half and a striped one
    brighter, grey = images.clone(), images.clone()
    brighter[..., :16, :] += 0.15  # the mean error of both is the same
    grey[..., 16:, :] = 0.65
    l1, weighted = L1(), SSIMWeightedL1()
    both = torch.where(torch.arange(32)[:, None] < 16, brighter, grey).requires_grad_()
    torch.testing.assert_close(l1(brighter[None], images), l1(grey[None], images))
    weighted(both[None], images).sum().backward()
    assert both.grad is not None
    flat, striped = both.grad.abs()[..., :10, :], both.grad.abs()[..., 22:, :]
    assert striped.mean() > 2 * flat.mean()


@pytest.mark.parametrize("loss", [MSSSIM(), L1AndMSSSIM()], ids=lambda loss: type(loss).__name__)
def test_errors_at_the_edge_count_as_much_as_those_inside(loss: nn.Module) -> None:
    _, images = pictures(64)
    framed, lined = images.clone(), images.clone()
    framed[..., :2] -= 0.3
    lined[..., 31:33] -= 0.3
    assert loss(framed[None], images) > 0.5 * loss(lined[None], images)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("side", [16, 32, 64])
def test_a_loss_falls_with_the_error_and_has_gradients_everywhere(loss: nn.Module, side: int) -> None:
    reconstructions, images = pictures(side)
    reconstructions.requires_grad_()
    worse, better = loss(reconstructions, images)
    assert worse > better > 0
    (worse + better).backward()
    assert reconstructions.grad is not None
    assert reconstructions.grad.isfinite().all()
    assert (reconstructions.grad != 0).float().mean() > 0.9
    torch.testing.assert_close(loss(images[None], images), torch.zeros(1), rtol=0, atol=1e-5)


def test_validation_before_training_does_not_break_it() -> None:
    reconstructions, images = pictures(32)
    with torch.inference_mode():
        MSSSIM()(reconstructions, images)
    reconstructions.requires_grad_()
    MSSSIM()(reconstructions, images).sum().backward()


def test_the_mix_is_between_its_parts() -> None:
    reconstructions, images = pictures(32)
    l1, structure = L1()(reconstructions, images), MSSSIM()(reconstructions, images)
    torch.testing.assert_close(L1AndMSSSIM(share=0.25)(reconstructions, images), 0.25 * structure + 0.75 * l1)
