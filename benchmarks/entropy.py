"""Entropy coding on a folder of images: what the context model saves at each iteration, and how long it takes.

python benchmarks/entropy.py path/to/kodak --model outputs/runs/…
"""

import argparse
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from rnncodec import bitstream
from rnncodec.compression import compressor
from rnncodec.entropy import layers
from rnncodec.entropy.contract import Codes
from rnncodec.imaging import is_image_name, read_pixels
from rnncodec.weights import DEFAULT_MODEL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--iterations", type=int)
    options = parser.parse_args()
    codec = compressor(options.model)
    if codec.context is None:
        parser.error(f"{options.model} has no context model")
    iterations = options.iterations or codec.trained_iterations
    paths = sorted(path for path in options.images.iterdir() if is_image_name(path))
    if not paths:
        parser.error(f"no images in {options.images}")
    raw, coded, whole = np.zeros(iterations), np.zeros(iterations), np.zeros(iterations)
    seconds = {"compress": 0.0, "decompress": 0.0, "encode": 0.0, "decode": 0.0}
    for path in track(paths, "measuring", console=Console(stderr=True), transient=True):
        pixels = read_pixels(path)
        started = time.perf_counter()
        file = bitstream.read(codec.compress(pixels, iterations))
        seconds["compress"] += time.perf_counter() - started
        started = time.perf_counter()
        list(codec.decode(file))
        seconds["decompress"] += time.perf_counter() - started
        raw += file.header.raw_size
        coded += [len(payload) for payload in file.layers]
        whole += file.ends
        history: list[Codes] = []
        started = time.perf_counter()
        for codes in codec._codes(file):
            history.append(codes[0].numpy())
        seconds["decode"] += time.perf_counter() - started
        started = time.perf_counter()
        for t in range(iterations):
            layers.encode(history[t], history[:t], codec.context)
        seconds["encode"] += time.perf_counter() - started
    print(f"{len(paths)} images; of whole files, against raw bits without framing.\n")
    print("| iterations | bits a bit, this layer | saved, whole file |\n| ---: | ---: | ---: |")
    for t in range(iterations):
        print(f"| {t + 1} | {coded[t] / raw[t]:.4f} | {1 - whole[t] / raw[: t + 1].sum():.1%} |")
    times = ", ".join(f"{name} {value / len(paths):.3f} s" for name, value in seconds.items())
    print(f"\nSeconds an image at {iterations} iterations: {times} (the last two are the entropy coder alone)")


if __name__ == "__main__":
    main()
