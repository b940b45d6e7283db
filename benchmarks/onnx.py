"""The exported network in onnxruntime against torch, on the photos in a folder.

python -m benchmarks.onnx exactness path/to/kodak --model light          # codes and pixels, against torch in float32
python -m benchmarks.onnx speed path/to/kodak --model light --first 4    # seconds a photo, and of a whole process

Needs the packages of  pip install 'rnncodec[onnx]'.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from rnncodec.coding.base import as_pixels
from rnncodec.coding.onnx_codec import ENCODER, Floats, OnnxDecoder, numbered, session, step, zeros
from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.export.onnx import export
from rnncodec.network.codec import STRIDE, IterativeCodec
from rnncodec.network.precision import fastest
from rnncodec.pictures.folders import find_images
from rnncodec.pictures.pixels import read_pixels
from rnncodec.weights.released import DEFAULT_MODEL
from rnncodec.weights.weights_file import load_model

LAYERS = 8
RUNS = 3  # of a process; the fastest counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("exactness", "speed"))
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--first", type=int, help="only so many of the photos")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="for speed")
    options = parser.parse_args()
    paths = find_images(options.photos)[: options.first]
    codec = load_model(options.model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(codec, folder)
        if options.what == "exactness":
            exactness(codec, folder, paths)
        else:
            for threads in options.threads:
                speed(codec, folder, paths, threads)
            starts(codec, options.model, folder, paths[0])


def exactness(codec: IterativeCodec, folder: Path, paths: list[Path]) -> None:
    """Encode each photo in torch and by the graphs, and decode the codes of torch by both. How far torch differs from
    itself when its numbers lie in another order in memory, so that it adds them in another order, is shown beside."""
    torch_codec, other = (TorchCodec(codec, dtype=torch.float32) for _ in range(2))
    other.codec.to(memory_format=torch.contiguous_format)
    network = OnnxDecoder(folder)
    count, samples = 0, 0
    flipped: dict[str, list[int]] = {"the graphs": [], "torch in another memory layout": []}
    differences = []
    for path in shown(paths):
        image = padded(torch_codec, path)
        codes = np.stack(list(torch_codes(torch_codec.codec, image)))
        count += codes.size
        for name, others in zip(
            flipped, (onnx_codes(network, folder, image), torch_codes(other.codec, image)), strict=True
        ):
            flipped[name].append(int((codes != np.stack(list(islice(others, LAYERS)))).sum()))
        whole = (slice(0, image.shape[-2]), slice(0, image.shape[-1]))
        decoded = torch_codec.codec.decode(torch.from_numpy(codes))
        for wanted, found in zip(decoded, network.decode_codes(codes[:, 0]), strict=True):
            pictures = torch_codec.part(wanted, whole), network.part(found, whole)
            ours, theirs = (as_pixels(picture).astype(int) for picture in pictures)
            difference = np.abs(ours - theirs)
            differences.append((int(difference.max()), int((difference > 0).sum())))
            samples += difference.size
    for name, counts in flipped.items():
        photos = sum(each > 0 for each in counts)
        print(f"Encoding by {name}: {sum(counts):,} of {count:,} codes differ, in {photos} of {len(paths)} photos.")
    most, share = max(each for each, _ in differences), sum(each for _, each in differences) / samples
    print(
        f"Decoding the same codes by the graphs: pixels differ by at most {most} of 255, {share:.4%} of the samples do."
    )


def speed(codec: IterativeCodec, folder: Path, paths: list[Path], threads: int) -> None:
    """Seconds of the network for a photo of eight layers."""
    torch.set_num_threads(threads)
    network = OnnxDecoder(folder, threads=threads)
    dtypes = {"torch.float32": torch.float32, str(fastest(torch.device("cpu"))): fastest(torch.device("cpu"))}
    codecs = {name.replace(".", ", "): TorchCodec(codec, dtype=dtype) for name, dtype in dtypes.items()}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ["onnxruntime", *codecs]}
    encoder = session(folder / ENCODER, threads)
    for path in shown(paths):
        for name, torch_codec in codecs.items():
            image = padded(torch_codec, path)
            codes, encode = timed(torch_codes(torch_codec.codec, image))
            _, decode = timed(torch_codec.codec.decode(map(torch.from_numpy, codes)))
            seconds[name].append((encode, decode))
        codes, encode = timed(islice(onnx_codes(network, folder, image, encoder), LAYERS))
        _, decode = timed(network.decode_codes(each[0] for each in codes))
        seconds["onnxruntime"].append((encode, decode))
    print(f"| {threads} threads | encode (s) | decode (s) |\n| --- | ---: | ---: |")
    for name, found in seconds.items():
        encode, decode = np.mean(found, axis=0)
        print(f"| {name} | {encode:.3f} | {decode:.3f} |")
    print()


def starts(codec: IterativeCodec, model: str, folder: Path, path: Path) -> None:
    """Seconds from the start of `rnncodec decompress` to its end, for the first layer and for all layers."""
    print("| rnncodec decompress | first layer (s) | all layers (s) |\n| --- | ---: | ---: |")
    file = folder / "photo.rnnc"
    file.write_bytes(TorchCodec(codec).compress(read_pixels(path), LAYERS))
    for name, given in (("onnxruntime", str(folder)), ("torch", model)):
        found = []
        for layers in (1, LAYERS):
            command = [sys.executable, "-m", "rnncodec.cli", "decompress", str(file), "--model", given]
            command += ["--layers", str(layers), "-o", str(folder / "photo.png"), "--overwrite"]
            runs = []
            for _ in range(RUNS):
                started = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                runs.append(time.perf_counter() - started)
            found.append(f"{min(runs):.2f}")
        print(f"| {name} | {' | '.join(found)} |")


@torch.inference_mode()
def torch_codes(codec: IterativeCodec, image: Floats) -> Iterator[np.ndarray]:
    """The codes ``[1, bits, h, w]`` of each of LAYERS iterations."""
    for codes in codec.encode_layers(torch.from_numpy(image), LAYERS):
        yield codes.float().numpy()


def onnx_codes(network: OnnxDecoder, folder: Path, image: Floats, encoder: Any = None) -> Iterator[np.ndarray]:
    """As `torch_codes`, by the exported graphs."""
    encoder = encoder or session(folder / ENCODER, 0)
    h, w = image.shape[-2] // STRIDE, image.shape[-1] // STRIDE
    picture, previous, config = image - np.float32(0.5), np.zeros_like(image), network.model["config"]
    names = ("encoder_states", "decoder_states", "sums")
    encoding, decoding, sums = (zeros(network.model[name], h, w) for name in names)
    for t in count():
        (codes,) = step(encoder, config, t, {"picture": picture, "previous": previous}, encoding)
        yield codes
        sums = step(network.decoder, config, t, {"codes": codes} | numbered("sum", sums), decoding)
        previous = network.picture_of(sums)


def padded(torch_codec: TorchCodec, path: Path) -> Floats:
    return torch_codec.images(read_pixels(path)).numpy()


def shown(paths: list[Path]) -> Any:
    return track(paths, "measuring", console=Console(stderr=True), transient=True)


def timed(steps: Iterator[Any]) -> tuple[list[Any], float]:
    """What ``steps`` yields, and the seconds that it took."""
    started = time.perf_counter()
    found = list(steps)
    return found, time.perf_counter() - started


if __name__ == "__main__":
    main()
