"""Rate and distortion on a folder of images, by real files: a Markdown table of means, as the models' cards show it.

python benchmarks/quality.py path/to/kodak
python benchmarks/quality.py photos --model outputs/runs/… --iterations 16
"""

import argparse
from pathlib import Path
from statistics import mean

from rich.console import Console
from rich.progress import track

from rnncodec.compression import compressor
from rnncodec.evaluation.measure import measure
from rnncodec.imaging import is_image_name, read_pixels
from rnncodec.weights import DEFAULT_MODEL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    codec = compressor(options.model, options.device)
    iterations = options.iterations or codec.trained_iterations
    paths = sorted(path for path in options.images.iterdir() if is_image_name(path))
    if not paths:
        parser.error(f"no images in {options.images}")
    curves = [
        measure(codec, read_pixels(path), iterations)
        for path in track(paths, "measuring", console=Console(stderr=True), transient=True)
    ]
    print(f"Mean of {len(paths)} images; bpp of whole files.\n")
    print("| iterations | bpp | PSNR (dB) | MS-SSIM |\n| ---: | ---: | ---: | ---: |")
    for points in zip(*curves, strict=True):
        bpp, psnr, ms_ssim = (mean(getattr(point, name) for point in points) for name in ("bpp", "psnr", "ms_ssim"))
        print(f"| {points[0].iteration} | {bpp:.4f} | {psnr:.2f} | {ms_ssim:.4f} |")


if __name__ == "__main__":
    main()
