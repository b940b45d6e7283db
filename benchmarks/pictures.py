"""What made pictures cost, layer by layer: flat, a gradient, blurred, noise and text. Blocks that are good enough
already should cost next to nothing in every layer.

python -m benchmarks.pictures --model light outputs/runs/…
python -m benchmarks.pictures --every 4 --photo photo.jpg

Prints a Markdown table of bits per pixel of files that end after each layer, beside AVIF at quality 60. --photo adds a
photo that is blurred by a Gaussian of 8 pixels, else a random picture is.
"""

import argparse
import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import rnncodec
from rnncodec.evaluation.summary import markdown
from rnncodec.fileformat import bitstream
from rnncodec.pictures.pixels import Pixels, read_pixels
from rnncodec.weights.released import DEFAULT_MODEL
from rnncodec.weights.weights_file import load_model

WIDTH, HEIGHT = 768, 512
TEXT = "The quick brown fox jumps over the lazy dog. 0123456789 "


def pictures(photo: Pixels | None) -> dict[str, Image.Image]:
    """The made pictures, by name."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    slopes = np.stack([200 * columns + 30, 150 * rows + 60, 220 - 120 * columns * rows], axis=-1)
    noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    coarse = Image.fromarray(rng.integers(0, 256, (HEIGHT // 32, WIDTH // 32, 3), dtype=np.uint8))
    sharp = coarse.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST) if photo is None else Image.fromarray(photo)
    page = Image.new("RGB", (WIDTH, HEIGHT), "white")
    font = ImageFont.load_default(14)
    for row in range(0, HEIGHT, 18):
        ImageDraw.Draw(page).text((4, row), 3 * TEXT[row % len(TEXT) :], fill="black", font=font)
    return {
        "flat": Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128)),
        "gradient": Image.fromarray(slopes.round().astype(np.uint8)),
        "blurred": sharp.filter(ImageFilter.GaussianBlur(8)),
        "noise": Image.fromarray(noise),
        "text": page,
    }


def rates(picture: Image.Image, model: str, layers: int) -> list[float]:
    """The bits per pixel of a file that ends after each layer."""
    file = bitstream.read(rnncodec.compress(picture, iterations=layers, model=model, strip=True))
    return [8 * end / (picture.width * picture.height) for end in file.ends]


def avif(picture: Image.Image) -> float:
    """The bits per pixel of AVIF at quality 60."""
    buffer = io.BytesIO()
    picture.save(buffer, "AVIF", quality=60, speed=6)
    return 8 * buffer.tell() / (picture.width * picture.height)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=[DEFAULT_MODEL], help="released names, weights files, runs")
    parser.add_argument("--every", type=int, default=4, help="layers from one column to the next")
    parser.add_argument("--photo", help="a photo to blur")
    options = parser.parse_args()
    made = pictures(read_pixels(options.photo) if options.photo else None)
    for model in options.model:
        layers = int(load_model(model).training_info["iterations"])
        shown = range(options.every, layers + 1, options.every)
        rows = []
        for name, picture in made.items():
            ends = rates(picture, model, layers)
            rows.append([name, *(f"{ends[layer - 1]:.4f}" for layer in shown), f"{avif(picture):.4f}"])
        headings = [f"bpp, {model}", *(f"{layer} layers" for layer in shown), "AVIF"]
        print(markdown(headings, rows), flush=True)


if __name__ == "__main__":
    main()
