"""The measures, against implementations that share no code with ours."""

import numpy as np
import psnr_hvsm
import pytest
import pytorch_msssim
import torch
from PIL import Image
from scipy.fft import dctn

from rnncodec.distortion.metrics import as_tensor, luma, ms_ssim, psnr, psnr_hvs
from rnncodec.distortion.psnr_hvs import SENSITIVITY
from rnncodec.distortion.ssimulacra2 import ssimulacra2
from rnncodec.pictures.pixels import Pixels


@pytest.fixture(params=[2.0, 12.0, 30.0])
def damaged(request: pytest.FixtureRequest, photos: list[Pixels]) -> Pixels:
    noise = np.random.default_rng(0).normal(0, request.param, photos[0].shape)
    return np.clip(photos[0] + noise, 0, 255).astype(np.uint8)


def test_ms_ssim_agrees_with_pytorch_msssim(photos: list[Pixels], damaged: Pixels) -> None:
    """To 1e-4 down to 0.75. Below they part: it takes the mean over the channels last, torchmetrics at each scale."""
    ours = ms_ssim(as_tensor(damaged), as_tensor(photos[0]))
    theirs = pytorch_msssim.ms_ssim(as_tensor(damaged), as_tensor(photos[0]), data_range=255.0)
    assert float(ours) == pytest.approx(float(theirs), abs=1e-4)


def test_psnr_is_its_formula(photos: list[Pixels], damaged: Pixels) -> None:
    error = (damaged.astype(float) - photos[0].astype(float)) ** 2
    expected = 10 * np.log10(255**2 / error.mean())
    assert float(psnr(as_tensor(damaged), as_tensor(photos[0]))) == pytest.approx(expected, abs=1e-4)


def test_psnr_hvs_agrees_with_psnr_hvsm_and_with_its_formula(photos: list[Pixels], damaged: Pixels) -> None:
    one, other = (np.asarray(luma(as_tensor(pixels))[0]) for pixels in (damaged, photos[0]))
    ours = float(psnr_hvs(as_tensor(damaged), as_tensor(photos[0])))
    assert ours == pytest.approx(float(psnr_hvsm.psnr_hvs_hvsm(one / 255, other / 255)[0]), abs=0.01)
    weights = SENSITIVITY.numpy()
    blocks = [
        (dctn((one - other)[top : top + 8, left : left + 8], norm="ortho") * weights) ** 2
        for top in range(0, one.shape[0], 8)
        for left in range(0, one.shape[1], 8)
    ]
    assert ours == pytest.approx(10 * np.log10(255**2 / np.mean(blocks)), abs=1e-6)


def test_psnr_hvs_of_any_size_is_that_of_the_whole_blocks() -> None:
    torch.manual_seed(0)
    one, other = (torch.rand(2, 1, 3, 21, 19) * 255).round()
    assert torch.equal(psnr_hvs(one, other), psnr_hvs(one[..., :16, :16], other[..., :16, :16]))


def test_luma_is_that_of_pillow(photos: list[Pixels]) -> None:
    pixels = np.concatenate([photo.reshape(-1, 3) for photo in photos])[None]
    theirs = np.asarray(Image.fromarray(pixels).convert("YCbCr"))[..., 0]
    assert np.array_equal(np.asarray(luma(as_tensor(pixels))[0]), theirs)


def lcg_noise(size: int) -> Pixels:
    """Noise of Knuth's MMIX generator, as the reference scores below were taken of."""
    state, values = 42, []
    for _ in range(size * size * 3):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        values.append((state >> 33) % 256)
    return np.array(values, np.uint8).reshape(size, size, 3)


def test_ssimulacra2_is_that_of_the_reference() -> None:
    """Against scores of libjxl's own program, which a port to Rust publishes
    (https://github.com/imazen/ssimulacra2/blob/main/ssimulacra2/src/reference_data.rs). Where a picture is flat, the
    reference divides differences of 32-bit rounding; so these are compared more loosely."""
    row = np.arange(64) * 255 // 63
    gradient = np.broadcast_to(row[None, :, None], (64, 64, 3)).astype(np.uint8)
    grey = {size: np.full((size, size, 3), 128, np.uint8) for size in (32, 64, 128, 256)}
    cases = [(gradient, grey[64], -64.56872), (lcg_noise(64), grey[64], -47.33573)]
    for original, shown, expected in cases:
        assert ssimulacra2(as_tensor(shown), as_tensor(original)) == pytest.approx(expected, abs=0.005)
    flat = {(64, 20): 56.05856, (64, 50): -8.75942, (128, 50): -9.82383, (256, 20): 59.77893, (256, 50): -0.39086}
    for (size, shift), expected in flat.items():
        assert ssimulacra2(as_tensor(grey[size] + shift), as_tensor(grey[size])) == pytest.approx(expected, abs=0.25)


def test_ssimulacra2_is_100_for_equal_pictures_and_falls_with_damage(photos: list[Pixels]) -> None:
    original = as_tensor(photos[0])
    noise = 255 * torch.rand_like(original)
    scores = [ssimulacra2(original.lerp(noise, share), original) for share in (0.0, 0.02, 0.2)]
    assert scores[0] == pytest.approx(100)
    assert scores == sorted(scores, reverse=True)
