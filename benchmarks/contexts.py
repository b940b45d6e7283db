"""Several context models on the same codes: the size of real files of the images in a folder, after several layers, in
bits a pixel and in comparison with the first model.

python -m benchmarks.contexts path/to/kodak RUN RUN…

Each RUN is a weights file or the folder of a run of  python train.py --config-name context. All start from one codec.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.entropy import layer_coder
from rnncodec.entropy.interface import Codes, ContextModel
from rnncodec.entropy.layer_coder import LayerCoder
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec
from rnncodec.pictures.folders import find_images
from rnncodec.pictures.pixels import read_pixels
from rnncodec.weights.weights_file import load_model

SHOWN = (1, 2, 4, 8, 16)  # layers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder")
    parser.add_argument("models", nargs="+", metavar="RUN")
    parser.add_argument("--first", type=int, help="only so many of its images")
    options = parser.parse_args()
    codecs = [load_model(name) for name in options.models]
    for name, codec in zip(options.models, codecs, strict=True):
        if codec.context is None:
            parser.error(f"{name} has no context model")
        if not same_network(codec, codecs[0]):
            parser.error(f"the codec of {name} is not that of {options.models[0]}: they make different codes")
    contexts = [codec.context for codec in codecs if codec.context is not None]
    codecs[0].context = None
    torch_codec = TorchCodec(codecs[0])
    paths = find_images(options.images)[: options.first]
    shown = [t for t in SHOWN if t <= torch_codec.trained_iterations]
    rates = torch.zeros(len(contexts), len(shown), dtype=torch.float64)
    seconds = torch.zeros(len(contexts))
    for path in track(paths, "measuring", console=Console(stderr=True), transient=True):
        pixels = read_pixels(path)
        file = bitstream.read(torch_codec.compress(pixels, shown[-1]))
        codes = [layer_coder.unpack(payload, file.header.shape) for payload in file.layers]
        for i, context in enumerate(contexts):
            started = time.perf_counter()
            ends = file_ends(file.header, codes, context)
            seconds[i] += (time.perf_counter() - started) / len(paths)
            rates[i] += torch.tensor([8 * ends[t - 1] / pixels[..., 0].size / len(paths) for t in shown])
    print(f"{len(paths)} images, bpp after so many layers, and in comparison with {contexts[0].config.name}.\n")
    print(table(contexts, shown, rates, seconds))


def same_network(codec: IterativeCodec, other: IterativeCodec) -> bool:
    """Whether both have the same weights."""
    own, others = codec.state_dict(), other.state_dict()
    return own.keys() == others.keys() and all(torch.equal(own[name], others[name]) for name in own)


def file_ends(header: bitstream.Header, codes: list[Codes], context: ContextModel) -> list[int]:
    """The sizes in bytes of the file of these ``codes``, cut behind each of its layers."""
    coder = LayerCoder(context)
    payloads = [coder.encode(each) for each in codes]
    return bitstream.read(bitstream.write(replace(header, coder=context.coder), payloads)).ends


def table(contexts: list[ContextModel], shown: list[int], rates: torch.Tensor, seconds: torch.Tensor) -> str:
    """The ``rates`` ``[models, layers]`` and the ``seconds`` of encoding one image ``[models]``, as Markdown."""
    columns = ["context model", "weights", *(f"{t} layers" if t > 1 else "1 layer" for t in shown), "encode (s)"]
    lines = [f"| {' | '.join(columns)} |", "| --- |" + " ---: |" * (len(columns) - 1)]
    for context, own, time_spent in zip(contexts, rates, seconds, strict=True):
        sizes = [f"{rate:.4f} ({rate / reference - 1:+.1%})" for rate, reference in zip(own, rates[0], strict=True)]
        weights = sum(tensor.size for name, tensor in context.tensors.items() if name not in ("table", "shifts"))
        cells = [context.config.name, f"{weights / 1e3:.0f} k", *sizes, f"{time_spent:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
