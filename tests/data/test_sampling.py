import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncodec.data.sampling import SAMPLERS, Sampler, high_entropy_patches, random_patches
from rnncodec.pictures.pixels import Pixels


def coordinates(height: int, width: int) -> Pixels:
    """A picture in which the value of each pixel is its position."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)


@given(
    sampler=st.sampled_from(list(SAMPLERS.values())),
    height=st.integers(16, 60),
    width=st.integers(16, 60),
    count=st.integers(1, 9),
    seed=st.integers(0, 2**32),
)
def test_patches_are_pieces_of_the_photo(sampler: Sampler, height: int, width: int, count: int, seed: int) -> None:
    pixels = coordinates(height, width)
    patches = sampler(pixels, 16, count, np.random.default_rng(seed))
    assert patches.shape == (count, 16, 16, 3)
    for patch in patches:
        top, left = patch[0, 0, :2]
        assert np.array_equal(patch, pixels[top : top + 16, left : left + 16])


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_the_generator_alone_decides(sampler: Sampler) -> None:
    pixels = coordinates(100, 100)
    first, again, other = (sampler(pixels, 16, 8, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_random_patches_come_from_everywhere_up_to_the_edges() -> None:
    patches = random_patches(coordinates(20, 19), 16, 500, np.random.default_rng(0))
    places = {(int(patch[0, 0, 0]), int(patch[0, 0, 1])) for patch in patches}
    assert places == {(top, left) for top in range(5) for left in range(4)}


@pytest.mark.parametrize("noisy_half", [0, 1])
def test_high_entropy_picks_the_noisy_half(noisy_half: int) -> None:
    pixels = np.full((96, 256, 3), 100, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    pixels[:, 128 * noisy_half : 128 * (noisy_half + 1)] = noise

    def noisiness(sampler: Sampler) -> float:
        """The mean part of a patch that is noise."""
        patches = np.concatenate([sampler(pixels, 32, 8, np.random.default_rng(seed)) for seed in range(20)])
        return float((patches != 100).any(axis=-1).mean())

    assert noisiness(random_patches) == pytest.approx(0.5, abs=0.1)
    assert noisiness(high_entropy_patches) > 0.8
