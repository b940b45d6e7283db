import pytest
import torch
from scipy.ndimage import convolve1d

from rnncodec.distortion.blur import LARGEST_BAND, blur

TAPS = (0.1, 0.2, 0.4, 0.2, 0.1)


@pytest.mark.parametrize("margin", [0, 2])
@pytest.mark.parametrize("width", [24, LARGEST_BAND + 8])
def test_a_blur_is_a_convolution_of_rows_and_columns(width: int, margin: int) -> None:
    pictures = torch.rand(2, 1, 3, 20, width, dtype=torch.float64)
    expected = pictures.numpy()
    for axis in (-2, -1):
        expected = convolve1d(expected, TAPS, axis=axis, mode="constant")
    inside = slice(2 - margin, None if margin == 2 else -2)
    found = blur(pictures, TAPS, margin)
    torch.testing.assert_close(found, torch.from_numpy(expected[..., inside, inside].copy()))
