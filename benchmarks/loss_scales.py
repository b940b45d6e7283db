"""The weights of the rate under which losses that are errors trade bits for quality as loss=decibels does.

python -m benchmarks.loss_scales path/to/kodak --model light

The gradient of log(D) is that of D divided by D. So a loss D_t has the same trade-off, to first order, when the weight
of the rate of iteration t is multiplied by D_t. The errors of a trained codec on the centres of the photos in a folder
are fitted by D_t = scale / t^fall: rate_weight is multiplied by the scale, and the fall is added to rate_power.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from rnncodec.evaluation.summary import markdown
from rnncodec.pictures.folders import find_images
from rnncodec.pictures.pixels import read_pixels
from rnncodec.weights.weights_file import load_model

LOSSES = ("l1", "l2", "l1_ms_ssim", "ms_ssim")  # in conf/loss; the others are logarithms, or weighted
SIDE = 192  # pixels of a crop


def crop(path: Path) -> torch.Tensor:
    """The centre of a photo, ``[3, SIDE, SIDE]`` in [0, 1]."""
    pixels = read_pixels(path)
    top, left = ((side - SIDE) // 2 for side in pixels.shape[:2])
    return torch.from_numpy(pixels[top : top + SIDE, left : left + SIDE] / np.float32(255)).permute(2, 0, 1)


def fit(errors: np.ndarray) -> tuple[float, float]:
    """The scale and the fall of ``errors`` ``[T]``, by least squares of their logarithms."""
    slope, intercept = np.polyfit(np.log(np.arange(1, len(errors) + 1)), np.log(errors), 1)
    return float(np.exp(intercept)), -float(slope)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument("--model", default="light", help="a released model, a weights file, or a run's folder")
    parser.add_argument("--iterations", type=int, default=8)
    options = parser.parse_args()
    codec = load_model(options.model)
    images = torch.stack([crop(path) for path in find_images(options.photos)])
    rows = []
    with torch.inference_mode():
        shown = torch.stack(list(codec.decode(codec.encode(images, options.iterations)))).clamp(0.0, 1.0)
        for name in LOSSES:
            errors = instantiate(OmegaConf.load(f"conf/loss/{name}.yaml"))(shown, images).numpy()
            scale, fall = fit(errors)
            rows.append([name, f"{errors[0]:.4f}", f"{errors[-1]:.4f}", f"{scale:.3g}", f"{fall:.2f}"])
    last = f"iteration {options.iterations}"
    print(markdown(["loss", "iteration 1", last, "scale: times rate_weight", "fall: added to rate_power"], rows))


if __name__ == "__main__":
    main()
