"""The areas under curves by several conventions, beside those of the paper, which does not say how it computes them
(Toderici et al. 2017, Tables 1 and 2): of JPEG 4:2:0 on the photos of a folder, of runs and of other curves.

python -m benchmarks.paper_areas path/to/kodak
python -m benchmarks.paper_areas path/to/kodak outputs/runs/…/evaluations/kodak-… lstm.json -o docs/ABLATIONS.md
"""

import argparse
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import psnr_hvsm
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from rnncodec.atomic_file import replacing
from rnncodec.coding.targets import bits_per_pixel
from rnncodec.distortion.metrics import DATA_RANGE, as_tensor, luma, ms_ssim
from rnncodec.distortion.psnr_hvs import visible
from rnncodec.evaluation.ablation.page import insert
from rnncodec.evaluation.classical import JPEG_QUALITIES
from rnncodec.evaluation.curves import Curve
from rnncodec.evaluation.rate_distortion import LIMIT
from rnncodec.evaluation.sources import read_sources
from rnncodec.evaluation.summary import ABSENT, markdown
from rnncodec.pictures.folders import find_images
from rnncodec.pictures.pixels import Pixels, read_pixels

# The rows of the paper: its best network that was trained on 32×32 patches, and JPEG 4:2:0, both on Kodak.
BEST = {"MS-SSIM": 1.8098, "PSNR-HVS": 53.15}
JPEG = {"MS-SSIM": 1.7998, "PSNR-HVS": 52.61}
DECIMALS = {"MS-SSIM": 4, "PSNR-HVS": 2}

TABLES = ("optimised", "standard")  # Huffman tables of JPEG
MEASURES = {  # the columns of `measure` behind the rates, and the measures that they are
    "MS-SSIM, RGB": "MS-SSIM",
    "MS-SSIM, luma": "MS-SSIM",
    "PSNR-HVS, luma": "PSNR-HVS",
    "PSNR-HVS, mean of Y, Cb, Cr": "PSNR-HVS",
    "PSNR-HVS, mean of R, G, B": "PSNR-HVS",
    "PSNR-HVS, R, G, B together": "PSNR-HVS",
    "PSNR-HVS-M, luma": "PSNR-HVS",
}
FIRST = 0.125  # bits a pixel of the first iteration of the paper's networks


def integral(rates: np.ndarray, values: np.ndarray, start: float) -> float:
    """The area under a curve from ``start`` to LIMIT bits a pixel, linear between points. Left of its first point the
    curve has the value of that point."""
    inner = rates[(rates > start) & (rates < LIMIT)]
    ends = np.concatenate([[start], inner, [LIMIT]])
    return float(np.trapezoid(np.interp(ends, rates, values), ends))


def log_mean(rates: np.ndarray, values: np.ndarray, start: float) -> float:
    """The mean of a curve over the logarithm of the rate, from ``start`` to LIMIT bits a pixel."""
    grid = np.geomspace(start, LIMIT, 1000)
    heights = np.interp(grid, rates, values)
    return float(np.trapezoid(heights, np.log(grid)) / np.log(LIMIT / start))


AREAS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "from (0, 0)": lambda r, v: integral(np.append(0.0, r), np.append(0.0, v), 0.0),
    "from 0 bpp, at the first point's quality": lambda r, v: integral(r, v, 0.0),
    "from the first point": lambda r, v: integral(r, v, r[0]),
    "from 0.125 bpp": lambda r, v: integral(r, v, 0.125),
    "from 0.15 bpp": lambda r, v: integral(r, v, 0.15),
    "from 0.2 bpp": lambda r, v: integral(r, v, 0.2),
    "from 0.25 bpp": lambda r, v: integral(r, v, 0.25),
    "twice the mean from 0.125 bpp": lambda r, v: integral(r, v, FIRST) * LIMIT / (LIMIT - FIRST),
    "twice the mean from 0.125 bpp over log(bpp)": lambda r, v: LIMIT * log_mean(r, v, FIRST),
    "twice the mean from 0.25 bpp over log(bpp)": lambda r, v: LIMIT * log_mean(r, v, 2 * FIRST),
}


def measure(pixels: Pixels) -> np.ndarray:
    """Of a JPEG file of each quality: its bits per pixel with each of TABLES, then MEASURES, ``[Q, 2 + 7]``."""
    return np.array([measure_quality(pixels, quality) for quality in JPEG_QUALITIES])


def measure_quality(pixels: Pixels, quality: int) -> list[float]:
    sizes = []
    for optimize in (True, False):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0", optimize=optimize)
        sizes.append(bits_per_pixel(file.tell(), pixels))
    shown = np.asarray(Image.open(file).convert("RGB"))
    picture, original = as_tensor(shown), as_tensor(pixels)
    grey, grey_original = luma(picture), luma(original)
    of_luma = multiscale_structural_similarity_index_measure(
        grey[:, None].float(), grey_original[:, None].float(), data_range=DATA_RANGE
    )
    rgb = squares(shown, pixels)
    ycbcr = squares(*(np.asarray(Image.fromarray(each).convert("YCbCr")) for each in (shown, pixels)))
    with np.errstate(invalid="ignore"):  # of blocks without any contrast
        masked = psnr_hvsm.psnr_hvs_hvsm(*(each[0].double().numpy() / DATA_RANGE for each in (grey, grey_original)))[1]
    noise = [decibels(ycbcr[:1]), decibels(ycbcr), decibels(rgb), 10 * np.log10(DATA_RANGE**2 / rgb.mean()), masked]
    return [*sizes, float(ms_ssim(picture, original)), float(of_luma), *map(float, noise)]


def squares(shown: Pixels, pixels: Pixels) -> np.ndarray:
    """The mean square of the visible error of each channel, ``[3]``."""
    error = torch.from_numpy(shown.astype(float) - pixels).permute(2, 0, 1)
    return visible(error).square().mean(dim=(1, 2)).numpy()


def decibels(errors: np.ndarray) -> float:
    """The mean PSNR of channels with these mean squared ``errors``."""
    return float(np.mean(10 * np.log10(DATA_RANGE**2 / errors)))


def areas(measured: np.ndarray) -> dict[tuple[str, str, str], list[float]]:
    """The areas of MEASURES of the photos ``[N, Q, 2 + 7]``, by what the area is of, the Huffman tables, and the
    range."""
    found = {}
    for column, huffman in enumerate(TABLES):
        rates, values = measured[..., column], measured[..., len(TABLES) :].transpose(2, 0, 1)
        for name, area in AREAS.items():
            found["the mean curve", huffman, name] = [area(rates.mean(0), of_all.mean(0)) for of_all in values]
            found["each photo, then the mean", huffman, name] = [
                float(np.mean([area(*curve) for curve in zip(rates, of_all, strict=True)])) for of_all in values
            ]
    return found


def conventions_text(found: Mapping[tuple[str, str, str], list[float]], photos: int) -> str:
    """The tables of the areas of JPEG, with how far they are from the paper's, and the convention that is nearest to
    both of its numbers."""
    parts = []
    for kind in dict.fromkeys(kind for kind, _, _ in found):
        rows = [
            [name, huffman, *(cell(value, *measure) for value, measure in zip(values, MEASURES.items(), strict=True))]
            for (of, huffman, name), values in found.items()
            if of == kind
        ]
        table = markdown(["area to 2 bpp", "Huffman tables", *MEASURES], rows)
        parts.append(f"JPEG 4:2:0 on {photos} photos, the area of {kind}:\n\n{table}")
    nearest = min(pairs(found), key=lambda pair: pair[0])
    parts.append(f"Nearest to both numbers of the paper: {nearest[1]}.\n")
    return "\n".join(parts)


def cell(value: float, name: str, measure: str) -> str:
    return f"{value:.{DECIMALS[measure]}f} ({100 * deviation(value, measure):+.1f} %)"


def deviation(value: float, measure: str) -> float:
    """How far an area of JPEG is from the paper's."""
    return value / JPEG[measure] - 1


def pairs(found: Mapping[tuple[str, str, str], list[float]]) -> list[tuple[float, str]]:
    """Of each convention with each pair of measures the larger of its two deviations, and the convention in words."""
    listed = []
    for (kind, huffman, name), values in found.items():
        named = list(zip(MEASURES.items(), values, strict=True))
        for (similarity, measure), area in named:
            for (noise, other), other_area in named:
                if (measure, other) == ("MS-SSIM", "PSNR-HVS"):
                    worst = max(abs(deviation(area, measure)), abs(deviation(other_area, other)))
                    words = (
                        f"{name}, {kind}, {huffman} Huffman tables, {similarity} {area:.4f}, {noise} {other_area:.2f}"
                    )
                    listed.append((worst, words))
    return listed


def curves_text(curves: list[tuple[str, Curve]]) -> str:
    """The areas of ``curves`` beside the paper's: as in the rest of the documentation, from 0.125 bpp, and over the
    logarithm of the rate. A curve that ends earlier has its last quality from there on."""
    shown = {name: AREAS[name] for name in AREAS if name in SHOWN}
    rows = [
        ["paper, best network", f"{BEST['MS-SSIM']:.4f}", *[ABSENT] * len(shown), f"{BEST['PSNR-HVS']:.2f}", ABSENT],
        ["paper, JPEG 4:2:0", f"{JPEG['MS-SSIM']:.4f}", *[ABSENT] * len(shown), f"{JPEG['PSNR-HVS']:.2f}", ABSENT],
    ]
    for name, curve in curves:
        similarities, noise = ([np.array(each) for each in zip(*curve.points(key), strict=True)] for key in KEYS)
        own = [f"{area(*similarities):.4f}" for area in shown.values()]
        rows.append([name, ABSENT, *own, ABSENT, f"{AREAS[SHOWN[0]](*noise):.2f}" if noise else ABSENT])
    return markdown(
        [
            "",
            "MS-SSIM, the paper's area",
            *(f"MS-SSIM, {name}" for name in shown),
            "PSNR-HVS, the paper's area",
            f"PSNR-HVS, {SHOWN[0]}",
        ],
        rows,
    )


SHOWN = ("from (0, 0)", "from 0.125 bpp", "twice the mean from 0.125 bpp over log(bpp)")
KEYS = ("ms-ssim-rgb", "psnr-hvs-y")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument(
        "curves", type=Path, nargs="*", help="runs, evaluations or JSON files of curves, on these photos"
    )
    parser.add_argument("-o", "--output", type=Path, help="a document that the tables are written into, between marks")
    options = parser.parse_args()
    paths = find_images(options.photos)
    photos = track(paths, "measuring JPEG", console=Console(stderr=True), transient=True)
    measured = np.array([measure(read_pixels(path)) for path in photos])
    jpeg = dict(zip(KEYS, (measured[..., 2], measured[..., 4]), strict=True))
    results = {key: values.mean(0).tolist() for key, values in (jpeg | {"bpp": measured[..., 0]}).items()}
    curves = [("jpeg", Curve("jpeg", "", results))]
    sources = read_sources(options.curves) if options.curves else []
    curves += [(source.name, source.curve) for source in sources if source.curve]
    texts = {
        "paper": curves_text(curves),
        "areas of JPEG": conventions_text(areas(measured), len(paths)),
    }
    if options.output is None:
        print("\n".join(texts.values()))
        return
    document = insert(texts, options.output.read_text())
    with replacing(options.output) as temporary:
        temporary.write_text(document)


if __name__ == "__main__":
    main()
