"""SSIMULACRA 2 (Jon Sneyers, 2022, https://github.com/cloudinary/ssimulacra2): how people judge a compressed picture.

All of it is differentiable, so that a loss can be made of it. The weights are those of the package ssimulacra2. The
blur of this package at the borders and its number of scales are not those of the C++ reference, so that its scores of
small pictures are far off. Here both are as in the reference.
"""

import math
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional

from rnncodec.distortion.blur import blur

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
OPPONENTS = torch.tensor([[7.0, -7.0, 0.0], [0.5, 0.5, 0.0], [-0.5, -0.5, 1.0]])  # of long, middle and short: X, Y, B
OFFSETS = torch.tensor([0.42, 0.01, 0.55])[:, None, None]
LEAST = 1e-18  # of a number whose root is taken, so that the gradient is finite


def taps() -> tuple[float, ...]:
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
    return tuple((beta @ torch.cos(omega[:, None] * torch.arange(1 - radius, radius))).tolist())


TAPS = taps()


def available() -> bool:
    """Whether the package ssimulacra2 is installed."""
    return find_spec("ssimulacra2") is not None


def ssimulacra2(reconstruction: Tensor, image: Tensor) -> float:
    """The score of ``reconstruction``: 100 if the pictures are equal; about 30, 50, 70 and 90 for low, medium, high and
    very high quality; without a lower limit. Both are ``[1, 3, H, W]``, sRGB from 0 to 255, with no side under
    SMALLEST_SIDE pixels."""
    found = features(reconstruction.float() / 255.0, image.float() / 255.0).flatten()
    # Of a picture that is too small for all scales the reference weighs terms by the weights of others.
    return float(score((found * weights(found.dtype, found.device).flatten()[: len(found)]).sum()))


def features(shown: Tensor, original: Tensor) -> Tensor:
    """The terms of the score of pictures ``shown`` ``[…, B, 3, H, W]`` of ``original`` ``[B, 3, H, W]``, both sRGB from
    0 to 1: ``[…, B, channels, scales, 2, 3]``, for each channel of XYB and each scale the means and the L4 norms of
    three errors: of structure, new edges, and lost edges. As in the reference, the first scale with a side of less than
    SMALLEST_SIDE pixels is the last one."""
    shown, original = linear(shown), linear(original)
    found = []
    for scale in range(SCALES):
        if min(original.shape[-2:]) < SMALLEST_SIDE:
            break
        if scale:
            shown, original = halve(shown), halve(original)
        found.append(torch.stack([norms(error) for error in errors(xyb(shown), xyb(original))], dim=-1))
    return torch.stack(found, dim=-3)


def score(total: Tensor) -> Tensor:
    """The score of pictures whose weighted terms have the sum ``total``."""
    x = 0.9562382616834844 * total
    x = 2.326765642916932 * x - 0.020884521182843837 * x**2 + 6.248496625763138e-05 * x**3
    return 100.0 - 10.0 * x.clamp(min=LEAST) ** 0.6276336467831387


@cache
@torch.inference_mode(False)  # a tensor made in inference mode could not be used in training later
def weights(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The weights of the terms, ``[3, SCALES, 2, 3]``."""
    from ssimulacra2.ssimulacra2 import weights as published

    return torch.tensor(published, dtype=dtype, device=device).view(3, SCALES, 2, 3)


def errors(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The maps of the errors of ``x`` as a copy of ``y``, both in XYB: structure that differs, edges that are new, and
    edges that are lost."""
    mean_x, mean_y = smooth(x), smooth(y)
    covariance, variance_x, variance_y = (
        torch.addcmul(smooth(one * other), mean_one, mean_other, value=-1)
        for one, other, mean_one, mean_other in ((x, y, mean_x, mean_y), (x, x, mean_x, mean_x), (y, y, mean_y, mean_y))
    )
    similarity = (1.0 - (mean_x - mean_y) ** 2) * ((2.0 * covariance + C2) / (variance_x + variance_y + C2))
    edges_y = (y - mean_y).abs()
    edges = ((x - mean_x).abs() - edges_y) * (1.0 / (1.0 + edges_y))  # (1 + |x - mean|) / (1 + |y - mean|) - 1
    return (1.0 - similarity).relu(), edges.relu(), (-edges).relu()


def norms(error: Tensor) -> Tensor:
    """The means of ``error`` ``[…, H, W]`` over the pixels, and their L4 norms: ``[…, 2]``."""
    squares = torch.linalg.vector_norm(error * error, dim=(-2, -1)) / math.prod(error.shape[-2:]) ** 0.5
    return torch.stack([error.mean(dim=(-2, -1)), squares.clamp(min=LEAST).sqrt() - LEAST**0.5], dim=-1)


def linear(pictures: Tensor) -> Tensor:
    """sRGB as linear RGB, both from 0 to 1."""
    curved = (pictures - 0.04045).relu()  # what is in the curved part of sRGB; with `where` the gradient takes long
    return (pictures - curved - 0.04045) / 12.92 + power((curved + 0.04045 + 0.055) / 1.055, 2.4)


def xyb(linear: Tensor) -> Tensor:
    """Linear RGB as XYB, shifted and scaled so that its values are about from 0 to 1: ``[…, 3, H, W]``."""
    from_rgb, to_xyb, offsets = matrices(linear.dtype, linear.device)
    cones = mixed(linear, from_rgb)
    positive = cones.relu()
    # Below 0, where reconstructions may lie before they are rounded, the root goes on along its tangent.
    roots = power(positive + BIAS, 1.0 / 3.0) + (cones - positive) * (BIAS ** (-2.0 / 3.0) / 3.0)
    return mixed(roots - BIAS ** (1.0 / 3.0), to_xyb) + offsets


@cache
@torch.inference_mode(False)
def matrices(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """CONES, OPPONENTS and OFFSETS; on a GPU they are copied to it once, not in each step."""
    return CONES.to(device, dtype), OPPONENTS.to(device, dtype), OFFSETS.to(device, dtype)


def mixed(pictures: Tensor, matrix: Tensor) -> Tensor:
    """``matrix`` times the channels of each pixel of ``pictures`` ``[…, 3, H, W]``."""
    return (matrix @ pictures.flatten(-2)).view(pictures.shape)


def power(x: Tensor, exponent: float) -> Tensor:
    """``x ** exponent`` for positive ``x``; in this form with its gradient it is three times as fast on a CPU."""
    return (exponent * x.log()).exp()


def halve(pictures: Tensor) -> Tensor:
    """The mean of each 2×2 pixels; at an odd edge, of those that there are."""
    planes = functional.avg_pool2d(pictures.flatten(0, -4), 2, ceil_mode=True)
    return planes.unflatten(0, pictures.shape[:-3])


def smooth(pictures: Tensor) -> Tensor:
    """A Gaussian blur with zeros around the pictures ``[…, 3, H, W]``."""
    return blur(pictures, TAPS, len(TAPS) // 2)
