"""What tiles cost and what they leave at seams: tiles of several sides and halos against the whole picture at once.

python benchmarks/tiles.py IMAGE… --iterations 8
python benchmarks/tiles.py --flat

For each tiling the table has: the pixels that the network computes for each pixel of the picture; the seconds and the
memory of encoding and decoding, in a process of its own; and, after the first and the last layer:

- decoder, largest and at seams: the difference of the picture from the one that a decoder without tiles gives of the
  same file, the largest, and the mean over the pixels within 8 of a seam;
- error at seams: the mean error of these pixels, less their error where the picture is encoded and decoded whole;
- dB lost: the PSNR of the whole picture that encoding and decoding in tiles loses.

Differences and errors are in units of 1/255. Values of several images are means. With --flat, a made picture of a sky
is measured: nearly flat, with a slow gradient and a little noise. Seams show there first.
"""

import argparse
import math
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import STRIDE
from rnncodec.pictures.pixels import Pixels, read_pixels
from rnncodec.pictures.tiles import Tile, Tiling, Window, scaled
from rnncodec.weights.released import DEFAULT_MODEL
from rnncodec.weights.weights_file import load_model

NEAR = 8  # pixels from a seam
FLAT = (1024, 1536)  # rows and columns of the made sky
WHOLE = (2**20, 0)  # side and halo: one tile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path)
    parser.add_argument("--flat", action="store_true", help="measure the made sky")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--sides", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--halos", type=int, nargs="+", default=[0, 2, 4, 6])
    options = parser.parse_args()
    pictures = [sky(*FLAT)] if options.flat else [read_pixels(path) for path in options.images]
    expected: list[list[Pixels]] = []
    print(
        "| tile | halo | computed | seconds | memory (MB) | layer | decoder, largest | at seams | "
        "error at seams | dB lost |"
    )
    print("|" + " ---: |" * 10)
    for side, halo in [WHOLE, *product(options.sides, options.halos)]:
        tiling = Tiling(side, halo)
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # its own process knows its peak memory
            shown, joined, seconds, memory = pool.submit(
                encode_and_decode, options.model, tiling, pictures, options.iterations
            ).result()
        expected = expected or shown
        grids = [tiles(tiling, pixels) for pixels in pictures]
        computed = sum(area(tile.whole) for grid in grids for tile in grid)
        share = computed / sum(area(tile.middle) for grid in grids for tile in grid)
        name = "whole" if (side, halo) == WHOLE else str(side)
        for layer in range(2):
            largest, seams, error, lost = np.mean(
                [
                    compare(ours[layer], same[layer], whole[layer], pixels, near_seams(grid, pixels))
                    for ours, same, whole, pixels, grid in zip(shown, joined, expected, pictures, grids, strict=True)
                ],
                axis=0,
            )
            print(
                f"| {name} | {halo} | {share:.2f} | {seconds:.1f} | {memory:.0f} | {(1, options.iterations)[layer]} | "
                f"{largest:.0f} | {seams:.4f} | {error:+.4f} | {lost:+.4f} |",
                flush=True,
            )


def encode_and_decode(
    model: str, tiling: Tiling, pictures: list[Pixels], iterations: int
) -> tuple[list[list[Pixels]], list[list[Pixels]], float, float]:
    """The decoded pictures after the first and after the last layer; the same, decoded without tiles; the seconds to
    encode and decode all layers; and the memory in MB."""
    torch_codec = TorchCodec(load_model(model), tiling=tiling)
    before, start = peak(), time.perf_counter()
    files = [bitstream.read(torch_codec.compress(pixels, iterations)) for pixels in pictures]
    last = [decoded(torch_codec, file) for file in files]
    seconds, memory = time.perf_counter() - start, peak() - before
    shown = [[decoded(torch_codec, file, 1), each] for file, each in zip(files, last, strict=True)]
    torch_codec.tiling = Tiling(*WHOLE)
    joined = [[decoded(torch_codec, file, count) for count in (1, None)] for file in files]
    return shown, joined, seconds, memory


def decoded(torch_codec: TorchCodec, file: bitstream.File, layers: int | None = None) -> Pixels:
    picture = torch_codec.picture(file.header, file.layers[:layers])
    assert picture is not None  # there are layers
    return picture


def peak() -> float:
    """The most memory that this process had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sky(height: int, width: int) -> Pixels:
    """A sky: nearly flat, with a slow gradient and the noise of one level that a camera leaves."""
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([120 + 30 * y / height, 160 + 25 * y / height, 225 + 8 * x / width], axis=2)
    return np.clip(smooth + np.random.default_rng(0).normal(0, 1, smooth.shape), 0, 255).round().astype(np.uint8)


def tiles(tiling: Tiling, pixels: Pixels) -> list[Tile]:
    height, width = (-(-side // STRIDE) for side in pixels.shape[:2])
    return tiling.tiles(height, width)


def area(window: Window) -> int:
    """The positions in a window."""
    return math.prod(part.stop - part.start for part in window)


def near_seams(tiles: list[Tile], pixels: Pixels) -> NDArray[np.bool_]:
    """Whether each pixel is within NEAR pixels of a border between two tiles, ``[H, W]``."""
    height, width = pixels.shape[:2]
    near = np.zeros((height, width), bool)
    for tile in tiles:
        rows, columns = scaled(tile.middle, STRIDE)
        if rows.start:
            near[rows.start - NEAR : rows.start + NEAR] = True
        if columns.start:
            near[:, columns.start - NEAR : columns.start + NEAR] = True
    return near


def compare(
    shown: Pixels, same: Pixels, whole: Pixels, original: Pixels, near: NDArray[np.bool_]
) -> tuple[float, float, float, float]:
    """The last four columns: of ``shown``, in tiles, ``same``, decoded without, and ``whole``, also encoded without."""
    difference = absolute(shown, same)
    seams = float(difference[near].mean()) if near.any() else 0.0
    error = float((absolute(shown, original) - absolute(whole, original))[near].mean()) if near.any() else 0.0
    return float(difference.max()), seams, error, psnr(whole, original) - psnr(shown, original)


def absolute(first: Pixels, second: Pixels) -> NDArray[np.int64]:
    return np.abs(first.astype(np.int64) - second)


def psnr(shown: Pixels, original: Pixels) -> float:
    return -10 * math.log10(np.mean((shown.astype(np.float64) - original) ** 2) / 255**2)


if __name__ == "__main__":
    main()
