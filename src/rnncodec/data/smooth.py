"""Smooth patches: skies, walls and blurred backgrounds, which the photos of a training set have too little of.

A network that hardly knows them spends bits on blocks that are good enough already.
"""

import numpy as np
from PIL import Image, ImageFilter

from rnncodec.data.sampling import Sampler
from rnncodec.pictures.pixels import Pixels


def smooth_patches(
    sampler: Sampler, share: float, pixels: Pixels, size: int, count: int, rng: np.random.Generator
) -> Pixels:
    """The patches of ``sampler``. Each is replaced with the probability ``share`` by a smooth one that is made from it:
    one colour, a gradient, or the patch blurred, each of the three as often as the others."""
    patches = sampler(pixels, size, count, rng)
    for index in np.flatnonzero(rng.random(count) < share):
        make = KINDS[rng.integers(len(KINDS))]
        patches[index] = make(patches[index], rng)
    return patches


def flat(patch: Pixels, rng: np.random.Generator) -> Pixels:
    """The mean colour of ``patch`` everywhere."""
    return np.broadcast_to(patch.mean(axis=(0, 1)).round().astype(np.uint8), patch.shape)


def gradient(patch: Pixels, rng: np.random.Generator) -> Pixels:
    """The plane that fits each channel of ``patch`` best, by least squares."""
    rows, columns = (np.linspace(-1.0, 1.0, side) for side in patch.shape[:2])
    down = rows @ patch.mean(axis=1) / (rows @ rows)
    right = columns @ patch.mean(axis=0) / (columns @ columns)
    plane = patch.mean(axis=(0, 1)) + rows[:, None, None] * down + columns[:, None] * right
    return plane.round().clip(0, 255).astype(np.uint8)


def blurred(patch: Pixels, rng: np.random.Generator) -> Pixels:
    """``patch`` after a Gaussian blur, whose standard deviation is from 1 pixel to an eighth of the patch's side."""
    deviation = np.exp(rng.uniform(0.0, np.log(len(patch) / 8)))
    return np.asarray(Image.fromarray(patch).filter(ImageFilter.GaussianBlur(float(deviation))))


KINDS = (flat, gradient, blurred)
