from pathlib import Path

import pytest
from PIL import Image

from benchmarks import figures
from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.evaluation.curves import Curve
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec
from rnncodec.pictures.pixels import Pixels


@pytest.fixture(scope="module")
def ours(context_codec: IterativeCodec) -> TorchCodec:
    return TorchCodec(context_codec)


def test_the_crop_shows_three_pictures_and_jpeg_has_no_fewer_bytes(
    ours: TorchCodec, photos: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    captions: list[str] = []
    original = figures.caption

    def caption(codec: str, size: int, shown: Pixels, pixels: Pixels) -> str:
        captions.append(f"{codec} {size}")
        return original(codec, size, shown, pixels)

    monkeypatch.setattr(figures, "caption", caption)
    monkeypatch.setattr(figures, "CROP", (10, 20, 110, 90))
    figure = figures.crop_figure(photos[0], ours)
    assert figure.size == (3 * 100 + 2 * figures.GAP, 70 + figures.CAPTION)
    assert figure.crop((0, 0, 100, 70)).tobytes() == Image.fromarray(photos[0]).crop((10, 20, 110, 90)).tobytes()
    sizes = {codec: int(size) for codec, size in map(str.split, captions)}
    ends = bitstream.read(ours.compress(photos[0])).ends
    assert sizes["rnncodec"] in ends
    assert sizes["JPEG"] >= sizes["rnncodec"]


def test_the_layers_are_those_that_the_file_has(ours: TorchCodec, photos: list[Pixels]) -> None:
    figure = figures.layers_figure(photos[0], ours)
    height, width = photos[0].shape[:2]
    shown = [t for t in figures.LAYERS if t <= ours.trained_iterations]
    assert figure.size == (len(shown) * (width + figures.GAP) - figures.GAP, height + figures.CAPTION)


def test_curves_are_drawn_the_same_every_time(tmp_path: Path) -> None:
    results = {"bpp": [0.1, 0.5], "ms-ssim-rgb": [0.9, 0.97], "psnr-rgb": [25.0, 30.0]}
    curves = [Curve("rnncodec", "", results), Curve("jpeg", "", results)]
    for name in ("first.svg", "second.svg"):
        figures.draw_curves(curves, "Mean of 1 photo", tmp_path / name)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


def test_the_figures_are_there_and_small_and_shown() -> None:
    folder = Path("docs/figures")
    made = {path.name: path.stat().st_size for path in folder.iterdir()}
    of_runs = {name for name in made if name.startswith("ablation-")}  # by rnncodec ablation
    assert made.keys() - of_runs == {"curves.svg", "crop.jpg", "layers.jpg"}
    assert sum(size for name, size in made.items() if name not in of_runs) < 500_000
    assert all(made[name] < 200_000 for name in of_runs)
    shown = "".join(path.read_text() for path in (Path("README.md"), *Path("docs").glob("*.md")))
    assert all(f"figures/{name}" in shown for name in made)
