"""The exported network in onnxruntime against torch, on the images in a folder: codes, pixels and seconds.

rnncodec export small -o small-onnx
python benchmarks/onnx.py path/to/kodak --exported small-onnx --threads 1

Run it once for each number of threads. The model must be the exported one.
"""

import argparse
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from rich.console import Console
from rich.progress import track

from rnncodec.codec import STRIDE, IterativeCodec
from rnncodec.export import DECODER, ENCODER, MODEL
from rnncodec.imaging import is_image_name, read_pixels
from rnncodec.model_file import load_model, model_identity
from rnncodec.weights import DEFAULT_MODEL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder")
    parser.add_argument("--exported", type=Path, required=True, help="the folder that the model was exported to")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--first", type=int, help="only so many of the images")
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    codec = load_model(options.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network = Network(options.exported, options.threads)
    if network.model["identities"]["0"] != model_identity(codec).hex():
        parser.error(f"{options.exported} does not hold {options.model}")
    paths = sorted(path for path in options.images.iterdir() if is_image_name(path))[: options.first]
    if not paths:
        parser.error(f"no images in {options.images}")
    found = [
        measure(codec, network, path, options.iterations)
        for path in track(paths, "measuring", console=Console(stderr=True), transient=True)
    ]
    total = {name: np.sum([each[name] for each in found], axis=0) for name in found[0]}
    print(f"{len(paths)} images, {options.iterations} iterations, {options.threads} threads.\n")
    print("| | torch (s) | onnxruntime (s) |\n| --- | ---: | ---: |")
    for what in ("encode", "decode"):
        seconds = total[what] / len(paths)
        print(f"| {what}, first iteration | {seconds[0, 0]:.3f} | {seconds[1, 0]:.3f} |")
        print(f"| {what}, all | {seconds[0].sum():.3f} | {seconds[1].sum():.3f} |")
    worst, share = max(each["pixels"] for each in found), total["differing"] / total["samples"]
    print(f"\nDecoding the same codes: pixels differ by {worst} of 255 at most; {share:.4%} of the samples do.")
    flipped = f"{total['flipped']:,} of {total['codes']:,}"
    print(f"\nEncoding: {flipped} codes differ, in {total['changed']} of {len(paths)} images.")


class Network:
    """The two graphs, on so many threads."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.model: dict[str, Any] = json.loads((folder / MODEL).read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.encoder, self.decoder = (
            onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
            for name in (ENCODER, DECODER)
        )

    def states(self, kind: str, h: int, w: int) -> list[np.ndarray]:
        return [
            np.zeros((1, *state["channels"], state["scale"] * h, state["scale"] * w), np.float32)
            for state in self.model[f"{kind}_states"]
        ]

    def step(self, graph: Any, states: list[np.ndarray], t: int, **inputs: np.ndarray) -> np.ndarray:
        """The output; ``states`` become the new ones."""
        for _ in range(1 + self.model["config"]["diffusion" if t else "priming"]):
            named = {f"state_{i}": state for i, state in enumerate(states)}
            output, *states[:] = graph.run(None, inputs | named | {"t": np.array(t)})
        return output

    def iterate(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """The codes of each iteration, without end."""
        h, w = images.shape[-2] // STRIDE, images.shape[-1] // STRIDE
        encoder, decoder = self.states("encoder", h, w), self.states("decoder", h, w)
        picture, previous, t = images - np.float32(0.5), np.zeros_like(images), 0
        while True:
            codes = self.step(self.encoder, encoder, t, picture=picture, previous=previous)
            yield codes
            previous = self.step(self.decoder, decoder, t, codes=codes, previous=previous)
            t += 1

    def decode(self, layers: np.ndarray) -> Iterator[np.ndarray]:
        """The reconstruction after each of the layers ``[T, 1, bits, h, w]``."""
        h, w = layers.shape[-2:]
        decoder, previous = self.states("decoder", h, w), np.zeros((1, 3, STRIDE * h, STRIDE * w), np.float32)
        for t, codes in enumerate(layers):
            previous = self.step(self.decoder, decoder, t, codes=codes, previous=previous)
            yield previous + np.float32(0.5)


def timed(steps: Iterator[Any]) -> tuple[list[Any], np.ndarray]:
    """What ``steps`` yields, and the seconds that each step took."""
    found, times = [], [time.perf_counter()]
    for each in steps:
        found.append(each)
        times.append(time.perf_counter())
    return found, np.diff(times)


def eight_bits(reconstruction: np.ndarray) -> np.ndarray:
    return (reconstruction.clip(0.0, 1.0) * np.float32(255.0)).round().astype(np.int64)


@torch.inference_mode()
def measure(codec: IterativeCodec, network: Network, path: Path, iterations: int) -> dict[str, Any]:
    pixels = read_pixels(path)
    height, width = (side // STRIDE * STRIDE for side in pixels.shape[:2])
    images = torch.from_numpy(pixels[:height, :width].copy()).permute(2, 0, 1)[None].float().contiguous() / 255.0
    codes, torch_encode = timed(codes for codes, _ in islice(codec.iterate(images), iterations))
    others, onnx_encode = timed(islice(network.iterate(images.numpy()), iterations))
    layers = torch.stack(codes)
    wanted, torch_decode = timed(codec.decode(layers))
    found, onnx_decode = timed(network.decode(layers.numpy()))
    differences = [np.abs(eight_bits(a.numpy()) - eight_bits(b)) for a, b in zip(wanted, found, strict=True)]
    flipped = int((layers.numpy() != np.stack(others)).sum())
    return {
        "encode": np.stack([torch_encode, onnx_encode]),
        "decode": np.stack([torch_decode, onnx_decode]),
        "pixels": max(int(difference.max()) for difference in differences),
        "differing": sum(int((difference > 0).sum()) for difference in differences),
        "samples": sum(difference.size for difference in differences),
        "codes": layers.numel(),
        "flipped": flipped,
        "changed": int(flipped > 0),
    }


if __name__ == "__main__":
    main()
