import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from rnncodec.codec import CodecConfig, IterativeCodec
from rnncodec.data.shards import write_shards
from rnncodec.imaging import Pixels
from rnncodec.model_file import save_model

torch.set_num_threads(1)
settings.register_profile("rnncodec", deadline=None, max_examples=25)
settings.load_profile("rnncodec")


def synthetic_photo(seed: int, height: int, width: int) -> Pixels:
    """Something like a photo: smooth areas of colour, and a little noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    return np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def photos() -> list[Pixels]:
    """Six synthetic photos, large enough for MS-SSIM, in several shapes."""
    shapes = [(192, 208), (176, 200), (208, 177), (195, 195), (200, 224), (180, 240)]
    return [synthetic_photo(seed, *shape) for seed, shape in enumerate(shapes)]


@pytest.fixture(scope="session")
def photos_dir(photos: list[Pixels], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the synthetic photos as photo-0.png to photo-5.png."""
    folder = tmp_path_factory.mktemp("photos")
    for index, pixels in enumerate(photos):
        Image.fromarray(pixels).save(folder / f"photo-{index}.png")
    return folder


@pytest.fixture(scope="session")
def shards_dir(photos_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with shards of the synthetic photos: train/ (three, with five photos) and val/ (one, with one)."""
    folder = tmp_path_factory.mktemp("shards")
    write_shards([str(photos_dir / "photo-[0-4].png")], folder / "train", name="train", shard_size=2)
    write_shards([str(photos_dir / "photo-5.png")], folder / "val", name="val")
    return folder


@pytest.fixture(scope="session")
def tiny_config() -> CodecConfig:
    return CodecConfig(width=0.03)


@pytest.fixture(scope="session")
def tiny_codec(tiny_config: CodecConfig) -> IterativeCodec:
    """An untrained network in eval mode, the same every time; not to be changed by a test."""
    torch.manual_seed(0)
    return IterativeCodec(tiny_config).eval()


@pytest.fixture(scope="session")
def images(photos: list[Pixels]) -> torch.Tensor:
    """Two pieces of the synthetic photos as the network takes them, ``[2, 3, 32, 48]`` in [0, 1]."""
    pieces = np.stack([pixels[:32, :48] for pixels in photos[:2]])
    return torch.from_numpy(pieces).permute(0, 3, 1, 2).float().contiguous() / 255.0


@pytest.fixture(scope="session")
def tiny_weights(tiny_codec: IterativeCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of `tiny_codec`."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_model(tiny_codec, path, training={"iterations": 3}, half=False)
    return path
