"""The figures of README.md and docs/: curves of rate and quality, a crop beside JPEG of its size, layers of a photo.

python -m benchmarks.figures                          # curves of the sample photos that scikit-image brings along
python -m benchmarks.figures --photos path/to/kodak   # curves of the photos in a folder

The two other figures show photos of scikit-image that are CC0, as their docstrings in skimage.data say: the coffee (by
Rachel Michetti) and Chelsea the cat (by Stéfan van der Walt). A measurement that was made before with the same weights
and photos is not made again.
"""

import argparse
import io
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.markup import escape

from rnncodec.atomic_file import replacing
from rnncodec.coding.targets import bits_per_pixel
from rnncodec.coding.torch_codec import TorchCodec, load_torch_codec
from rnncodec.distortion.metrics import as_tensor, ms_ssim
from rnncodec.evaluation.classical import CLASSICAL
from rnncodec.evaluation.curves import METRICS, Curve
from rnncodec.evaluation.measurement import EvaluationOptions, evaluate
from rnncodec.evaluation.photo_set import set_name
from rnncodec.evaluation.samples import sample_images
from rnncodec.fileformat import bitstream
from rnncodec.pictures.folders import find_images
from rnncodec.pictures.pixels import Pixels, read_pixels
from rnncodec.terminal import log, progress
from rnncodec.weights.released import DEFAULT_MODEL

BASELINES = ("jpeg", "webp", "avif")
AXES = {"ms-ssim-rgb": (0.85, 1.0), "psnr-rgb": (22, 38)}  # the metrics that are drawn, and their ranges
MOST = 1.0  # bits per pixel that the curves are drawn up to

CROP_PHOTO, CROP = "coffee.png", (110, 70, 430, 310)  # left, top, right, bottom
CROP_RATE = 0.25  # bits per pixel; the crop is of the layer whose rate is nearest
LAYERS_PHOTO, LAYERS = "chelsea.png", (1, 2, 4, 8)

CAPTION, GAP = 24, 8  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder; default: the sample photos of scikit-image")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a released model, a weights file, or a run's folder")
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    parser.add_argument("--measurements", type=Path, default=Path("outputs/figures"), help="where they are kept")
    options = parser.parse_args()
    ours = load_torch_codec(options.model)
    options.out.mkdir(parents=True, exist_ok=True)
    draw_curves(*measured(options.photos, options.model, ours, options.measurements), options.out / "curves.svg")
    save(crop_figure(sample(CROP_PHOTO), ours), options.out / "crop.jpg")
    save(layers_figure(sample(LAYERS_PHOTO), ours), options.out / "layers.jpg")


def sample(name: str) -> Pixels:
    """A sample photo of scikit-image."""
    return read_pixels(Path(str(files("skimage") / "data" / name)))


def measured(photos: Path | None, model: str, ours: TorchCodec, folder: Path) -> tuple[list[Curve], str]:
    """The curves of our codec and of BASELINES, and what they are the mean of, in words."""
    images = sample_images() if photos is None else find_images(photos)
    name = "samples" if photos is None else photos.resolve().name
    with progress() as bar:
        task = bar.add_task("measuring", total=None)

        def on_progress(done: int, total: int, complaint: str) -> None:
            if complaint:
                log.print(f"[yellow]broken[/] {escape(complaint)}", soft_wrap=True)
            bar.update(task, completed=done, total=total)

        evaluation = evaluate(
            EvaluationOptions(
                model=model,
                images=images,
                dataset=set_name(name, images),
                name="rnncodec",
                iterations=None,
                baselines=BASELINES,
                anchors=None,
                compare_to=None,
                workers=None,
                device="cpu",
            ),
            folder / f"{ours.identity.hex()}-{set_name(name, images)}",
            on_progress,
        )
    described = "sample photos of scikit-image" if photos is None else f"photos ({name})"
    return evaluation.curves, f"Mean of {len(evaluation.about.measured)} {described}"


def draw_curves(curves: list[Curve], title: str, path: Path) -> None:
    """Quality against bits per pixel, one plot for each of AXES, as SVG."""
    import matplotlib
    from matplotlib.figure import Figure  # not pyplot, which looks for a display

    with matplotlib.rc_context({"svg.hashsalt": "rnncodec"}):  # the same file every time
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        figure.suptitle(title, fontsize="medium")
        for axes, (metric, limits) in zip(figure.subplots(1, len(AXES)), AXES.items(), strict=True):
            for curve in curves:
                label = CLASSICAL[curve.name].title if curve.name in CLASSICAL else curve.name
                style = {"lw": 1.2} if curve.name in CLASSICAL else {"lw": 2, "marker": "o", "ms": 4, "zorder": 3}
                axes.plot(*zip(*curve.points(metric), strict=True), label=label, **style)
            axes.set(xlabel="bits per pixel", ylabel=METRICS[metric], xlim=(0, MOST), ylim=limits)
            axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})


def crop_figure(pixels: Pixels, ours: TorchCodec) -> Image.Image:
    """A crop of a photo: the original, ours at the layer nearest to CROP_RATE, and the smallest JPEG file that is not
    smaller."""
    file = bitstream.read(ours.compress(pixels))
    rates = [bits_per_pixel(end, pixels) for end in file.ends]
    layer = int(np.argmin([abs(rate - CROP_RATE) for rate in rates]))
    shown = list(ours.decode(file))[layer]
    jpeg = CLASSICAL["jpeg"]
    content = next(
        content
        for content in (jpeg.encode(pixels, quality) for quality in range(1, 96))
        if len(content) >= file.ends[layer]
    )
    return side_by_side(
        [
            (pixels, "original"),
            (shown, caption("rnncodec", file.ends[layer], shown, pixels)),
            (jpeg.decode(content), caption("JPEG", len(content), jpeg.decode(content), pixels)),
        ],
        CROP,
    )


def layers_figure(pixels: Pixels, ours: TorchCodec) -> Image.Image:
    """The picture of a photo after each of LAYERS."""
    file = bitstream.read(ours.compress(pixels))
    shown = list(ours.decode(file))
    height, width = pixels.shape[:2]
    return side_by_side(
        [(shown[t - 1], f"layer {t}: {file.ends[t - 1] / 1000:.1f} kB") for t in LAYERS if t <= len(shown)],
        (0, 0, width, height),
    )


def caption(codec: str, size: int, shown: Pixels, original: Pixels) -> str:
    """The size and the quality of a file of the whole photo."""
    return f"{codec}: {size:,} bytes, MS-SSIM {float(ms_ssim(as_tensor(shown), as_tensor(original))):.3f}"


def side_by_side(panels: list[tuple[Pixels, str]], crop: tuple[int, int, int, int]) -> Image.Image:
    """The crop (left, top, right, bottom) of each picture in a row, on white, each with its caption below."""
    left, top, right, bottom = crop
    width, height = right - left, bottom - top
    figure = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height + CAPTION), "white")
    draw, font = ImageDraw.Draw(figure), ImageFont.load_default(size=14)
    for index, (pixels, text) in enumerate(panels):
        x = index * (width + GAP)
        figure.paste(Image.fromarray(pixels).crop(crop), (x, 0))
        draw.text((x + width / 2, height + CAPTION / 2), text, "black", font, anchor="mm")
    return figure


def save(figure: Image.Image, path: Path) -> None:
    """Write a figure as JPEG without chroma subsampling, of a quality at which losses are not visible."""
    buffer = io.BytesIO()
    figure.save(buffer, "JPEG", quality=93, subsampling="4:4:4", optimize=True)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    main()
