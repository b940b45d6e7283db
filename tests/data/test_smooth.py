from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from rnncodec.data.sampling import random_patches
from rnncodec.data.smooth import blurred, flat, gradient, smooth_patches
from rnncodec.pictures.pixels import Pixels


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def steps(patch: Pixels) -> float:
    """The mean difference between neighbours."""
    values = patch.astype(float)
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())


@pytest.fixture
def patch(photos: list[Pixels]) -> Pixels:
    return photos[0][:64, :64]


def test_a_flat_patch_has_the_mean_colour(patch: Pixels) -> None:
    found = flat(patch, rng())
    assert (found == found[0, 0]).all()
    assert np.abs(found[0, 0] - patch.mean(axis=(0, 1))).max() <= 0.5


def test_a_gradient_is_the_plane_that_fits_best(patch: Pixels) -> None:
    rows, columns = np.mgrid[:64, :64]
    terms = np.stack([np.ones(64 * 64), rows.ravel(), columns.ravel()], axis=1)
    factors = np.linalg.lstsq(terms, patch.reshape(-1, 3).astype(float), rcond=None)[0]
    expected = (terms @ factors).clip(0, 255).reshape(patch.shape)
    assert np.abs(gradient(patch, rng()) - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("kind", [flat, gradient, blurred])
def test_each_kind_is_smoother_and_keeps_the_colour(
    kind: Callable[[Pixels, np.random.Generator], Pixels], patch: Pixels
) -> None:
    found = kind(patch, rng())
    assert found.shape == patch.shape
    assert found.dtype == np.uint8
    assert steps(found) < 0.5 * steps(patch)
    assert np.abs(found.mean(axis=(0, 1)) - patch.mean(axis=(0, 1))).max() < 6


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_the_patches_is_smooth_and_the_others_are_as_they_were(photos: list[Pixels], share: float) -> None:
    plain = random_patches(photos[0], 32, 300, rng())
    found = smooth_patches(random_patches, share, photos[0], 32, 300, rng())
    changed = (found != plain).any(axis=(1, 2, 3))
    assert changed.mean() == pytest.approx(share, abs=0.08)


def test_the_generator_alone_decides(photos: list[Pixels]) -> None:
    sampler = partial(smooth_patches, random_patches, 0.5)
    first, again = (sampler(photos[0], 32, 20, rng()) for _ in range(2))
    assert np.array_equal(first, again)
