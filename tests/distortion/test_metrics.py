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
