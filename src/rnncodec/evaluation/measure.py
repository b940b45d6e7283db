"""Rate and distortion of one picture, from the bytes of real files and the pixels they decode to."""

from dataclasses import dataclass

import torch

from rnncodec import bitstream
from rnncodec.compression import Compressor
from rnncodec.evaluation.metrics import ms_ssim, psnr
from rnncodec.imaging import Pixels


@dataclass(frozen=True)
class Point:
    """A picture after ``iteration`` layers: the file's bytes, bits a pixel of all of it, PSNR in dB, MS-SSIM."""

    iteration: int
    bytes: int
    bpp: float
    psnr: float
    ms_ssim: float


def measure(compressor: Compressor, pixels: Pixels, iterations: int) -> list[Point]:
    """Write one file of ``iterations`` layers, decode it, and measure what each cut behind a layer shows."""
    file = bitstream.read(compressor.compress(pixels, iterations))
    original = as_tensor(pixels)
    points = []
    for iteration, (end, shown) in enumerate(zip(file.ends, compressor.decode(file), strict=True), start=1):
        picture = as_tensor(shown)
        points.append(
            Point(
                iteration,
                end,
                8 * end / (pixels.shape[0] * pixels.shape[1]),
                float(psnr(picture, original)),
                float(ms_ssim(picture, original)),
            )
        )
    return points


def as_tensor(pixels: Pixels) -> torch.Tensor:
    """uint8 ``[H, W, 3]`` as the float ``[1, 3, H, W]`` in 0 … 255 that the metrics take."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
