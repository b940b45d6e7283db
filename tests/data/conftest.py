from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rnncodec.data.shards import write_shards

FLAT_PHOTOS = 12


@pytest.fixture(scope="session")
def flat_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photos of one colour each: the colour of a patch identifies its photo (see `photo_numbers`)."""
    folder = tmp_path_factory.mktemp("flat")
    for number in range(FLAT_PHOTOS):
        Image.new("RGB", (48, 40), (20 * number, 255 - 20 * number, 9)).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="session")
def flat_shards(flat_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], list[str]]:
    """Shards of the twelve flat photos, so many photos a shard, in the photos' order."""

    @cache
    def make(shard_size: int) -> list[str]:
        out = tmp_path_factory.mktemp("flat-shards") / "out"
        write_shards([str(flat_dir)], out, shard_size=shard_size)
        return sorted(map(str, out.glob("*.tar")))

    return make


@pytest.fixture(scope="session")
def photo_numbers() -> Callable[[torch.Tensor], list[int]]:
    """The flat photos that the patches ``[..., 3, H, W]`` are from."""

    def numbers(patches: torch.Tensor) -> list[int]:
        pixels = np.moveaxis(patches.reshape(-1, *patches.shape[-3:]).numpy(), 1, -1)
        assert (pixels == pixels[:, :1, :1]).all(), "a patch has more than one colour"
        assert (pixels[:, 0, 0, 0].astype(int) + pixels[:, 0, 0, 1] == 255).all(), "a patch of unknown colour"
        return (pixels[:, 0, 0, 0] // 20).tolist()

    return numbers
