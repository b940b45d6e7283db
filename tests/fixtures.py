import gc
import multiprocessing.forkserver
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from hypothesis import settings
from PIL import Image
from torch.nn.functional import binary_cross_entropy_with_logits

from rnncodec.coding.onnx_codec import MODEL
from rnncodec.data.shards import write_shards
from rnncodec.entropy.checkerboard import Checkerboard
from rnncodec.entropy.quantization import quantize_checkerboard, quantize_recurrent
from rnncodec.entropy.recurrent_checkerboard import RecurrentCheckerboard
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.config import CodecConfig
from rnncodec.pictures.pixels import Pixels
from rnncodec.weights.weights_file import save_model
from tests import quick_yaml  # noqa: F401 (for its effect)
from tests.commands import Command
from tests.defaults import checkerboard_config, codec_config, recurrent_checkerboard_config

# A process has one server that it forks others from. That of pytest has more modules than the workers of a test need.
multiprocessing.forkserver.set_forkserver_preload = lambda modules: None


def pytest_collection_finish() -> None:
    """The garbage collector need not look through the modules and the tests again and again."""
    gc.freeze()
    gc.enable()


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
    return codec_config(width=0.03)


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


@pytest.fixture(scope="session")
def codes(tiny_codec: IterativeCodec, photos: list[Pixels]) -> torch.Tensor:
    """The codes that `tiny_codec` makes of a piece of each synthetic photo: int8 ``[4, 6, 32, 10, 11]`` in {-1, +1}."""
    pieces = np.stack([pixels[:160, :176] for pixels in photos])
    return tiny_codec.encode(torch.from_numpy(pieces).permute(0, 3, 1, 2).float() / 255.0, 4)


@pytest.fixture(scope="session")
def tiny_context(codes: torch.Tensor) -> Checkerboard:
    """A small context model that has seen `codes` a few times; not to be changed by a test."""
    torch.manual_seed(0)
    model = Checkerboard(checkerboard_config(iterations=3, groups=3, hidden=(16, 8)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(25):
        loss = binary_cross_entropy_with_logits(model(codes[:3]), (codes[:3] > 0).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="session")
def context_codec(tiny_codec: IterativeCodec, tiny_context: Checkerboard) -> IterativeCodec:
    """`tiny_codec` with `tiny_context`, in integers."""
    codec = IterativeCodec(tiny_codec.config)
    codec.load_state_dict(tiny_codec.state_dict())
    codec.context = quantize_checkerboard(tiny_context)
    return codec.eval()


@pytest.fixture(scope="session")
def context_weights(context_codec: IterativeCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of `context_codec`."""
    path = tmp_path_factory.mktemp("weights") / "context.safetensors"
    save_model(context_codec, path, training={"iterations": 3}, half=False)
    return path


@pytest.fixture(scope="session")
def folded_codec(tiny_context: Checkerboard) -> IterativeCodec:
    """A network of 24 iterations with few cells and paths of patches, with `tiny_context` in integers."""
    torch.manual_seed(0)
    config = codec_config(
        encoder_cell="gru",
        decoder_cell="gru",
        encoder_channels=(64, 256),
        decoder_channels=(256, 256, 256),
        encoder_hidden_kernels=(3,),
        decoder_hidden_kernels=(1, 3),
        projections=24,
        linear_path=True,
        width=0.05,
    )
    codec = IterativeCodec(config)
    codec.normalization.rms.copy_(0.25 * 0.85 ** torch.arange(len(codec.normalization.rms)))
    codec.context = quantize_checkerboard(tiny_context)
    return codec.eval()


@pytest.fixture(scope="session")
def wide_codec(photos: list[Pixels]) -> IterativeCodec:
    """A network whose shape is another one in all that files show: 48 bits, a linear path to them, and a recurrent
    context model for 24 iterations, which knows how frequent the codes of each channel are in a photo."""
    torch.manual_seed(0)
    shape = {"bits": 48, "iterations": 24}
    network = RecurrentCheckerboard(recurrent_checkerboard_config(**shape, groups=5, memory=6, hidden=(16, 8)))
    torch.nn.init.normal_(network.output, std=0.02)
    config = codec_config(
        encoder_cell="minimal_gru",
        decoder_cell="minimal_gru",
        encoder_channels=(64, 256),
        decoder_channels=(256, 256),
        encoder_hidden_kernels=(1,),
        decoder_hidden_kernels=(1,),
        bits=48,
        linear_path=True,
        width=0.03,
    )
    codec = IterativeCodec(config).eval()
    image = torch.from_numpy(photos[0][:64, :96].copy()).permute(2, 0, 1)[None].float() / 255.0
    with torch.no_grad():
        network.output_bias += 2 * codec.encode(image, 24).float().mean((1, 3, 4))
    codec.context = quantize_recurrent(network)
    codec.training_info = {"iterations": 24}
    return codec


@pytest.fixture(scope="session")
def exports(
    folded_codec: IterativeCodec, wide_codec: IterativeCodec, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The folders that `folded_codec` and `wide_codec` are exported to, as trained for 24 iterations. This takes 20
    seconds of CPU: the processes of pytest-xdist share them. One process of its own does it, because the first export
    costs twice as much as another one, and pytest makes it slow to trace."""
    pytest.importorskip("onnxscript")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exports"
    networks = {"folded": folded_codec, "wide": wide_codec}
    folders = {name: folder / name for name in networks}
    with FileLock(f"{folder}.lock"):
        if not all((each / MODEL).is_file() for each in folders.values()):  # which is written last
            for name, codec in networks.items():
                folders[name].mkdir(parents=True, exist_ok=True)
                save_model(codec, folders[name] / "codec.safetensors", training={"iterations": 24}, half=False)
            program = Path(__file__).parent / "export" / "several.py"
            done = Command(program, *folders.values(), environment=os.environ).wait(600)
            assert done.returncode == 0, done.stderr
    return folders


@pytest.fixture(scope="session")
def exported(exports: dict[str, Path]) -> Path:
    """The folder that `folded_codec` is exported to."""
    return exports["folded"]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium on this machine."""
    named = [os.environ.get("CHROMIUM"), *map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))]
    found = next((path for path in named if path), None)
    if found is None:
        pytest.skip("no Chromium on this machine: install it, or set CHROMIUM to its path")
    return found


@pytest.fixture(scope="session")
def chromium_browser(chromium: str) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    quiet = "disable-gpu disable-quic no-first-run disable-background-networking disable-component-update disable-sync"
    arguments = ["--no-sandbox", *(f"--{option}" for option in quiet.split()), "--js-flags=--liftoff-only"]
    with playwright.sync_playwright() as session:
        browser = session.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()
