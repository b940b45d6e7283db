"""Entropy coding of the images in a folder: the bits that a context model saves at each iteration, the bits that
rounding to integers and the range coder add to the cross-entropy, and the time in comparison with the network.

python benchmarks/entropy.py path/to/kodak --model outputs/runs/… --floats outputs/runs/…/checkpoints/last.ckpt
"""

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch.nn.functional import binary_cross_entropy_with_logits

from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.entropy import layer_coder
from rnncodec.entropy.interface import ONE, Codes, ContextModel, replay
from rnncodec.entropy.layer_coder import LayerCoder
from rnncodec.entropy.networks import NETWORKS, Network
from rnncodec.fileformat import bitstream
from rnncodec.pictures.folders import find_images
from rnncodec.pictures.pixels import Pixels, read_pixels
from rnncodec.weights.released import DEFAULT_MODEL
from rnncodec.weights.weights_file import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder")
    parser.add_argument("--first", type=int, help="only so many of its images")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--floats", type=Path, help="the checkpoint that the model's integers were made of")
    options = parser.parse_args()
    codec = load_model(options.model)
    context, codec.context = codec.context, None  # the network alone, for its own time
    if context is None:
        parser.error(f"{options.model} has no context model")
    floats = None if options.floats is None else float_model(context, options.floats)
    torch_codec = TorchCodec(codec)
    iterations = options.iterations or torch_codec.trained_iterations
    paths = find_images(options.images)[: options.first]
    found = [
        measure(torch_codec, context, floats, read_pixels(path), iterations)
        for path in track(paths, "measuring", console=Console(stderr=True), transient=True)
    ]
    print(f"{len(paths)} images, torch on {torch.get_num_threads()} threads.\n")
    print(table({name: np.array([each[name] for each in found]) for name in found[0]}))


def float_model(context: ContextModel, checkpoint: Path) -> Network:
    """The context model as it was trained."""
    network = NETWORKS[context.config.name].network(context.config)
    states = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    network.load_state_dict({name.removeprefix("model."): value for name, value in states.items()})
    return network.eval()


def clock() -> NDArray[Any]:
    return np.array([time.perf_counter(), time.process_time()])


def measure(
    torch_codec: TorchCodec, context: ContextModel, floats: Network | None, pixels: Pixels, iterations: int
) -> dict[str, NDArray[Any]]:
    """Of each layer: bits, and seconds, encoding and decoding together, on the wall and of the CPU ``[iterations, 2]``.
    ``file`` counts the bits of the whole file, up to this layer."""
    times = [clock()]
    file = bitstream.read(torch_codec.compress(pixels, iterations, on_work=lambda _: times.append(clock())))
    network = np.diff(times, axis=0)
    times = [clock()]
    for _ in torch_codec.decode(file):
        times.append(clock())
    network += np.diff(times, axis=0)
    layers = [layer_coder.unpack(payload, file.header.shape) for payload in file.layers]
    encoder, decoder = LayerCoder(context), LayerCoder(context)
    payloads, entropy = [], []
    for codes in layers:
        started = clock()
        payloads.append(encoder.encode(codes))
        decoder.decode(payloads[-1], file.header.shape)
        entropy.append(clock() - started)
    ends = bitstream.read(bitstream.write(replace(file.header, coder=context.coder), payloads)).ends
    found = {
        "raw": np.full(iterations, layers[0].size),
        "coded": np.array([8 * len(payload) for payload in payloads]),
        "file": 8 * np.array(ends),
        "integers": information(layers, context),
        "network": network,
        "entropy": np.array(entropy),
    }
    return found if floats is None else found | {"floats": float_information(np.array(layers), floats)}


def information(layers: list[Codes], context: ContextModel) -> NDArray[Any]:
    """The cross-entropy of each layer's codes under the context model as it codes them, in bits."""
    picture, found = context.start(), []
    for codes in layers:
        bits = (codes.ravel() > 0).astype(np.uint8)
        groups = replay(picture.groups(*codes.shape[1:]), bits)
        found.append(sum(-np.log2(np.where(bits[i] == 1, ones, ONE - ones) / ONE).sum() for i, ones in groups))
        picture.remember(codes)
    return np.array(found)


@torch.inference_mode()
def float_information(codes: NDArray[np.int8], network: Network) -> NDArray[Any]:
    """Likewise of each of the layers ``codes`` ``[T, bits, h, w]``, under the model as it was trained."""
    targets = torch.from_numpy(codes)[:, None]
    nats = binary_cross_entropy_with_logits(network(targets), (targets > 0).float(), reduction="none")
    return nats.double().sum(dim=(1, 2, 3, 4)).numpy() / math.log(2)


def table(found: dict[str, NDArray[Any]]) -> str:
    """`measure`'s values of all images ``[images, iterations, …]`` as Markdown: means over images."""
    total = {name: values.sum(0) for name, values in found.items()}
    framing = (found["file"] - found["coded"].cumsum(1)).max(0) // 8
    columns = {
        "iterations": [str(t) for t in range(1, len(framing) + 1)],
        "bits a bit, this layer": [f"{bits:.4f}" for bits in total["coded"] / total["raw"]],
        "saved, whole file": [f"{saved:.1%}" for saved in 1 - total["file"] / total["raw"].cumsum()],
        "coder over integers": [f"{added:+.2%}" for added in total["coded"] / total["integers"] - 1],
        "header and framing (bytes)": [str(most) for most in framing],
    }
    if "floats" in total:
        columns["integers over floats"] = [f"{added:+.2%}" for added in total["integers"] / total["floats"] - 1]
    seconds = {name: total[name].cumsum(0).T / len(found[name]) for name in ("network", "entropy")}
    for clock_name, network, entropy in zip(("", ", CPU"), *seconds.values(), strict=True):
        columns[f"network{clock_name} (s)"] = [f"{each:.3f}" for each in network]
        columns[f"entropy{clock_name} (s)"] = [f"{each:.3f}" for each in entropy]
        columns[f"share{clock_name}"] = [f"{each:.1%}" for each in entropy / network]
    lines = [f"| {' | '.join(columns)} |", "|" + " ---: |" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in zip(*columns.values(), strict=True))])


if __name__ == "__main__":
    main()
