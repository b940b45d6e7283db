"""The most that a context model could gain by adapting to each picture: each channel of each layer gets a scale and an
offset of its logits, fitted to the very bits that are coded. What a decoder could learn from earlier bits gains less.

python -m benchmarks.adaptation path/to/kodak --model RUN
"""

import argparse
import math
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from rnncodec.entropy.contexts import CONTEXTS, Network
from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.network.codec import IterativeCodec
from rnncodec.pictures.pixels import find_images, read_pixels
from rnncodec.weights.released import DEFAULT_MODEL
from rnncodec.weights.weights_file import load_model

STEPS, LEARNING_RATE = 100, 0.05  # of Adam, which fits scales and offsets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2, 4, 8])
    options = parser.parse_args()
    codec = load_model(options.model)
    if codec.context is None:
        parser.error(f"{options.model} has no context model")
    network = CONTEXTS[codec.context.config.name].thaw(codec.context)
    paths = find_images(options.images)
    found = [
        bits(codec, network, path, max(options.layers))
        for path in track(paths, "measuring", console=Console(stderr=True), transient=True)
    ]
    plain, fitted = torch.stack(found).sum(0).cumsum(1)
    print(f"{len(paths)} images.\n\n| layers | bits a picture | fitted to the picture |\n| ---: | ---: | ---: |")
    for t in options.layers:
        print(f"| {t} | {plain[t - 1] / len(paths):.0f} | {fitted[t - 1] / plain[t - 1] - 1:+.2%} |")


def bits(codec: IterativeCodec, network: Network, path: Path, layers: int) -> Tensor:
    """The bits of each layer of a picture, as the context model codes them and with the fitted logits: ``[2, T]``."""
    pixels = torch.from_numpy(read_pixels(path).copy()).permute(2, 0, 1)[None] / 255.0
    images = pad(pixels, (0, -pixels.shape[3] % STRIDE, 0, -pixels.shape[2] % STRIDE), mode="replicate")
    with torch.no_grad():
        codes = torch.stack([codes for codes, _ in islice(codec.iterate(images), layers)])
        logits = network(codes).flatten(3)  # [T, 1, bits, N]
    targets = (codes > 0).float().flatten(3)
    scale, offset = (torch.full((*logits.shape[:3], 1), value, requires_grad=True) for value in (1.0, 0.0))
    adam = torch.optim.Adam([scale, offset], lr=LEARNING_RATE)
    for _ in range(STEPS):
        adam.zero_grad()
        binary_cross_entropy_with_logits(scale * logits + offset, targets, reduction="sum").backward()
        adam.step()
    both = torch.stack([logits, scale.detach() * logits + offset.detach()])
    nats = binary_cross_entropy_with_logits(both, targets.expand_as(both), reduction="none")
    return nats.sum(dim=(2, 3, 4)) / math.log(2)


if __name__ == "__main__":
    main()
