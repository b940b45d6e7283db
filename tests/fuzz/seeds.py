"""Good files of every kind, of tiny models: what the fuzzer starts from."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch

from rnncodec.coding.onnx_codec import OnnxDecoder
from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.entropy.checkerboard import Checkerboard
from rnncodec.entropy.config import CheckerboardConfig, RecurrentCheckerboardConfig
from rnncodec.entropy.interface import ContextModel
from rnncodec.entropy.quantization import quantize_checkerboard, quantize_recurrent
from rnncodec.entropy.recurrent_checkerboard import RecurrentCheckerboard
from rnncodec.evaluation.measure import Point
from rnncodec.evaluation.results import About, complete, write_evaluation
from rnncodec.fileformat.bitstream import Header, write
from rnncodec.fileformat.metadata import Metadata
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.config import CodecConfig
from rnncodec.weights.weights_file import save_model

PHOTO = "photo.rnnc"  # beside an exported network: a file that it decodes
BITS = 4
WIDTH = 0.01  # four channels in every layer
CONFIG = CodecConfig(
    width=WIDTH,
    bits=BITS,
    encoder_channels=(4, 4),
    decoder_channels=(4, 4, 4),
    encoder_hidden_kernels=(1,),
    decoder_hidden_kernels=(1, 3),
    projections=2,
    linear_path=True,
)
OTHERS = {
    "gru": CodecConfig(width=WIDTH, bits=BITS),
    "lstm": CodecConfig(width=WIDTH, bits=BITS, encoder_cell="lstm", reconstruction="residual_scaling", priming=1),
    "associative": CodecConfig(width=WIDTH, bits=BITS, decoder_cell="associative_lstm", binarizer="stochastic"),
}
METADATA = Metadata(exif=b"II*\0\x08\0\0\0\0\0\0\0\0\0", xmp=b"<x:xmpmeta/>", srgb=True)


def make_seeds(folder: Path, exported: Path | None = None) -> None:
    """Write a folder for each kind of file into ``folder``. ``exported`` is the folder of an exported network; if it is
    None, one is made, which takes most of the time."""
    torch.manual_seed(0)
    options = {"bits": BITS, "iterations": 2, "groups": 2, "radius": 1, "hidden": (4, 4)}
    contexts: dict[str, ContextModel | None] = {
        "raw": None,
        "checkerboard": quantize_checkerboard(Checkerboard(CheckerboardConfig(**options, past_radius=1))),
        "recurrent": quantize_recurrent(RecurrentCheckerboard(RecurrentCheckerboardConfig(**options, memory=2))),
    }
    for name in ("weights", "rnnc"):  # and exported, evaluation
        (folder / name).mkdir(parents=True, exist_ok=True)
    pixels = (np.arange(20 * 35 * 3).reshape(20, 35, 3) * 7 % 256).astype(np.uint8)
    codec = IterativeCodec(CONFIG).eval()
    for name, context in contexts.items():
        codec.context = context
        save_model(codec, folder / "weights" / f"{name}.safetensors", {"iterations": 3}, half=name == "raw")
        own = TorchCodec(codec)
        for layers, metadata in ((1, Metadata()), (3, METADATA)):
            content = own.compress(pixels, layers, metadata=metadata)
            (folder / "rnnc" / f"{name}-{layers}.rnnc").write_bytes(content)
    for name, config in OTHERS.items():
        save_model(IterativeCodec(config), folder / "weights" / f"{name}.safetensors", {}, half=False)
    if exported is None:
        exported = folder / "exported"
        weights = folder / "weights" / "checkerboard.safetensors"
        command = [sys.executable, "-m", "rnncodec.cli", "export", weights, "-o", exported, "--overwrite"]
        subprocess.run(command, check=True)
        shutil.copy(folder / "rnnc" / "checkerboard-3.rnnc", exported / PHOTO)
    else:
        shutil.copytree(exported, folder / "exported", dirs_exist_ok=True)
        decoder = OnnxDecoder(exported)
        coder = max(decoder.identities)
        header = Header(decoder.identities[coder], coder, 20, 35, decoder.bits, 1)
        (folder / "exported" / PHOTO).write_bytes(write(header, [bytes(header.raw_size)]))
    make_evaluation(folder / "evaluation")


def make_evaluation(folder: Path) -> None:
    """Write the results of an evaluation of `CONFIG`, beside JPEG, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    points = [Point(**({field.name: t / 4 for field in fields(Point)} | {"bytes": 100 * t})) for t in (1, 2, 3)]
    about = About(
        name="tiny",
        model=str(folder / "absent.safetensors"),
        identity="00000000",
        network=json.loads(json.dumps(asdict(CONFIG))),
        training={"iterations": 3, "options": {"loss": {"name": "l1"}}},
        iterations=3,
        images={"a.png": "a" * 64, "b.png": "b" * 64},
        dataset="two",
        baselines=["jpeg"],
        compare_to="jpeg",
        broken={"c.png": "no image"},
    )
    measurements = {(codec, image): points for codec in ("tiny", "jpeg") for image in about.images.values()}
    write_evaluation(complete(about, measurements, []), folder)
