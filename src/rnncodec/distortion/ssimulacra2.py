"""SSIMULACRA 2 (Jon Sneyers, 2022, https://github.com/cloudinary/ssimulacra2): how people judge a compressed picture.

The weights and the last formula are those of the package ssimulacra2. Its blur at the borders and its number of scales
are not those of the C++ reference, so that its scores of small pictures are far off. Here both are as in the reference.
"""

import math
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional

SCALES = 6
SMALLEST_SIDE = 8  # pixels
SIGMA = 1.5  # of the blur, in pixels
C2 = 0.0009  # of SSIM, for values from 0 to 1
BIAS = 0.0037930732552754493  # of the cones; these and the rows below are libjxl's opsin_params.h
CONES = torch.tensor(
    [
        [0.30, 1.0 - 0.30 - 0.078, 0.078],
        [0.23, 1.0 - 0.23 - 0.078, 0.078],
        [0.24342268924547819, 0.20476744424496821, 1.0 - 0.24342268924547819 - 0.20476744424496821],
    ]
)


def available() -> bool:
    """Whether the package ssimulacra2 is installed."""
    return find_spec("ssimulacra2") is not None


def ssimulacra2(reconstruction: Tensor, image: Tensor) -> float:
    """The score of ``reconstruction``: 100 if the pictures are equal; about 30, 50, 70 and 90 for low, medium, high and
    very high quality; without a lower limit. Both are ``[1, 3, H, W]``, sRGB from 0 to 255, with no side under
    SMALLEST_SIDE pixels."""
    from ssimulacra2.ssimulacra2 import Msssim, MsssimScale

    measured = Msssim()
    pictures = torch.cat([image, reconstruction]).float() / 255.0
    linear = torch.where(pictures <= 0.04045, pictures / 12.92, ((pictures + 0.055) / 1.055) ** 2.4)
    for scale in range(SCALES):
        if min(linear.shape[-2:]) < SMALLEST_SIDE:
            break
        if scale:
            linear = functional.avg_pool2d(linear, 2, ceil_mode=True)
        first, second = xyb(linear).split(1)
        means, squares = blur(torch.cat([first, second])), blur(torch.cat([first * first, second * second]))
        (mean, mean2), (square, square2) = means.split(1), squares.split(1)
        covariance = blur(first * second) - mean * mean2
        variances = (square - mean * mean) + (square2 - mean2 * mean2)
        structure = (2.0 * covariance + C2) / (variances + C2)
        error = (1.0 - (1.0 - (mean - mean2) ** 2) * structure).clamp(min=0.0)
        edges = (1.0 + (second - mean2).abs()) / (1.0 + (first - mean).abs()) - 1.0
        new, lost = norms(edges.clamp(min=0.0)), norms((-edges).clamp(min=0.0))
        here = MsssimScale()
        here.avg_ssim, here.avg_edgediff = norms(error).flatten().tolist(), torch.cat([new, lost], 1).flatten().tolist()
        measured.scales.append(here)
    return float(measured.score())


def xyb(linear: Tensor) -> Tensor:
    """Linear RGB as XYB, shifted and scaled so that its values are about from 0 to 1: ``[B, 3, H, W]``."""
    cones = torch.einsum("kc,bchw->bkhw", CONES.to(linear), linear) + BIAS
    long, middle, short = (cones.clamp(min=0.0) ** (1.0 / 3.0) - BIAS ** (1.0 / 3.0)).unbind(1)
    x, y = (long - middle) / 2.0, (long + middle) / 2.0
    return torch.stack([14.0 * x + 0.42, y + 0.01, short - y + 0.55], dim=1)


def blur(pictures: Tensor) -> Tensor:
    """A Gaussian blur with zeros around the pictures ``[B, 3, H, W]``."""
    channels = pictures.shape[1]
    taps = kernel().to(pictures).repeat(channels, 1)
    margin = taps.shape[1] // 2
    rows = functional.conv2d(pictures, taps[:, None, None, :], padding=(0, margin), groups=channels)
    return functional.conv2d(rows, taps[:, None, :, None], padding=(margin, 0), groups=channels)


@lru_cache(maxsize=1)
def kernel() -> Tensor:
    """The Gaussian as three cosines, which the reference filters by (Charalampidis, "Recursive Implementation of the
    Gaussian Filter Using Truncated Cosine Functions", 2016): 9 taps with the sum 1."""
    radius = round(3.2795 * SIGMA + 0.2546)  # equation 57
    omega = torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64) * math.pi / (2 * radius)
    p = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64) / torch.tan(omega / 2)  # 37
    r = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64) * p * p / torch.sin(omega)  # 44
    rho = torch.exp(-0.5 * SIGMA**2 * omega**2) / radius  # 50
    zeta = torch.linalg.cross(p, r) / (p[0] * r[1] - r[0] * p[1])  # 52
    wanted = torch.stack([torch.ones(()), torch.tensor(radius**2 - SIGMA**2), zeta @ rho]).double()
    beta = torch.linalg.solve(torch.stack([p, r, zeta]), wanted)
    return beta @ torch.cos(omega[:, None] * torch.arange(1 - radius, radius))


def norms(values: Tensor) -> Tensor:
    """The means of ``values`` ``[1, 3, H, W]`` over the pixels, and their L4 norms: ``[3, 2]``."""
    flat = values[0].flatten(1).double()
    return torch.stack([flat.mean(1), (flat**4).mean(1) ** 0.25], dim=1)
