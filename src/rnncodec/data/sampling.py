"""Patch sampling: which patches of a photo to train on. Each sampler maps pixels ``[H, W, 3]`` to patches
``[N, size, size, 3]``; the photo must be at least ``size`` on each side."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from rnncodec.pictures.pixels import Pixels

Sampler = Callable[[Pixels, int, int, np.random.Generator], Pixels]


def random_patches(pixels: Pixels, size: int, count: int, rng: np.random.Generator) -> Pixels:
    """``count`` patches at uniformly random positions."""
    tops = rng.integers(0, pixels.shape[0] - size, count, endpoint=True)
    lefts = rng.integers(0, pixels.shape[1] - size, count, endpoint=True)
    return np.stack([pixels[y : y + size, x : x + size] for y, x in zip(tops, lefts, strict=True)])


CANDIDATES = 2  # patches drawn for each patch that is kept


def high_entropy_patches(pixels: Pixels, size: int, count: int, rng: np.random.Generator) -> Pixels:
    """Draws ``CANDIDATES * count`` patches at random and keeps the ``count`` of them that PNG compresses worst.

    The paper (section 4.2) ranks all tiles of a photo in this way. Ranking a few random patches takes a fraction of the
    time, and some patches still come from the quiet parts of a photo.
    """
    candidates = random_patches(pixels, size, CANDIDATES * count, rng)
    return candidates[np.argsort([-png_size(tile) for tile in candidates], kind="stable")[:count]]


def png_size(pixels: Pixels) -> int:
    """The bytes of these pixels as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.tell()


SAMPLERS: dict[str, Sampler] = {"random": random_patches, "high_entropy": high_entropy_patches}
