"""The ONNX graphs compute what the network computes, for every cell and every framework."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

from rnncodec.errors import OutputError
from rnncodec.export.onnx import (
    CONTEXT,
    DECODER,
    ENCODER,
    MODEL,
    PIXELS,
    DecoderStep,
    EncoderStep,
    PixelsStep,
    description,
    example,
    store_as_float16,
)
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.precision import round_convolutions
from rnncodec.weights.weights_file import model_identity
from tests.defaults import codec_config

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

T = 3
NETWORKS = [  # every cell and every framework
    {
        "encoder_cell": "lstm",
        "decoder_cell": "associative_lstm",
        "reconstruction": "residual_scaling",
        "priming": 1,
        "diffusion": 2,
    },
    {
        "encoder_cell": "minimal_gru",
        "decoder_cell": "gru",
        "reconstruction": "one_shot",
        "residual_normalization": False,
        "projections": 2,
        "linear_path": True,
    },
    {
        "encoder_cell": "residual_gru",
        "decoder_cell": "residual_gru",
        "reconstruction": "additive",
        "decoder_channels": [512, 256, 128],
        "decoder_hidden_kernels": [3, 3],
        "linear_path": True,
        "settled_psnr": 9.0,
    },
]

Arrays = dict[str, np.ndarray]
Lists = dict[str, list[np.ndarray]]  # of sums and states
Step = Callable[[Arrays, Lists], list[np.ndarray]]


def in_onnxruntime(path: Path) -> Step:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    singular = {"sums": "sum", "states": "state"}

    def run(inputs: Arrays, lists: Lists) -> list[np.ndarray]:
        numbered = {f"{singular[name]}_{i}": each for name, values in lists.items() for i, each in enumerate(values)}
        return session.run(None, inputs | numbered)

    return run


def in_torch(step: nn.Module, structure: Any = None) -> Step:
    """Before the export, which takes long for some cells. ``structure`` are states of the network."""

    @torch.inference_mode()
    def run(inputs: Arrays, lists: Lists) -> list[np.ndarray]:
        tensors: dict[str, Any] = {name: torch.from_numpy(value) for name, value in inputs.items()}
        tensors |= {name: [torch.from_numpy(each) for each in values] for name, values in lists.items()}
        if "states" in tensors:
            tensors["states"] = pytree.tree_unflatten(tensors["states"], pytree.tree_structure(structure))
        return [value.numpy() for value in pytree.tree_leaves(step(**tensors))]

    return run


class Loop:
    """The loop over the iterations as docs/ONNX.md describes it, with the three graphs."""

    def __init__(self, model: dict[str, Any], encoder: Step, decoder: Step, pixels: Step) -> None:
        self.model = model
        self.graphs = {"encoder": encoder, "decoder": decoder}
        self.pixels = pixels
        self.states: dict[str, list[np.ndarray]] = {}

    def step(self, kind: str, t: int, inputs: Arrays, lists: Lists) -> list[np.ndarray]:
        for _ in range(1 + self.model["config"]["diffusion" if t else "priming"]):
            found = self.graphs[kind](inputs | {"t": np.array(t)}, lists | {"states": self.states[kind]})
            count = len(found) - len(self.states[kind])
            self.states[kind] = found[count:]
        return found[:count]

    def iterate(self, images: np.ndarray, iterations: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Codes and reconstruction of each iteration."""
        batch, h, w = len(images), images.shape[-2] // self.model["stride"], images.shape[-1] // self.model["stride"]

        def zeros(name: str) -> list[np.ndarray]:
            return [
                np.zeros((batch, *shape["channels"], shape["scale"] * h, shape["scale"] * w), np.float32)
                for shape in self.model[name]
            ]

        self.states = {kind: zeros(f"{kind}_states") for kind in self.graphs}
        picture, previous, sums, found = images - np.float32(0.5), np.zeros_like(images), zeros("sums"), []
        for t in range(iterations):
            (codes,) = self.step("encoder", t, {"picture": picture, "previous": previous}, {})
            sums = self.step("decoder", t, {"codes": codes}, {"sums": sums})
            (previous,) = self.pixels({}, {"sums": sums})
            found.append((codes, previous + np.float32(0.5)))
        return found


def compare(codec: IterativeCodec, loop: Loop, images: torch.Tensor) -> None:
    """``loop`` gives the codes and reconstructions of ``codec`` with rounded weights, for several sizes."""
    codec = copy.deepcopy(codec)
    round_convolutions(codec)
    for pictures in (images, images[:1, :, :16, :16]):
        with torch.inference_mode():
            wanted = [(codes.numpy(), shown.numpy()) for codes, shown in codec.iterate(pictures, T)]
        found = loop.iterate(pictures.numpy(), T)
        for (codes, picture), (found_codes, found_picture) in zip(wanted, found, strict=True):
            assert np.array_equal(found_codes, codes)
            assert np.abs(found_picture - picture).max() < 1e-5


@pytest.mark.parametrize("options", NETWORKS)
def test_steps_compute_what_the_network_computes(options: dict[str, Any], images: torch.Tensor) -> None:
    torch.manual_seed(1)
    codec = IterativeCodec(codec_config(width=0.03, **options)).eval()
    codec.normalization.update(torch.rand(T, 1, 3, 16, 16))  # scales that differ between iterations
    encoder, decoder, sums = example(codec)
    model = description(codec, encoder, decoder, sums)
    steps = in_torch(EncoderStep(codec), encoder), in_torch(DecoderStep(codec), decoder), in_torch(PixelsStep(codec))
    compare(codec, Loop(model, *steps), images)


def test_graphs_compute_what_the_network_computes(
    folded_codec: IterativeCodec, exported: Path, images: torch.Tensor
) -> None:
    model = json.loads((exported / MODEL).read_text())
    loop = Loop(model, *(in_onnxruntime(exported / name) for name in (ENCODER, DECODER, PIXELS)))
    compare(folded_codec, loop, images)


def test_description_holds_identities_and_the_context_model(folded_codec: IterativeCodec, exported: Path) -> None:
    model = json.loads((exported / MODEL).read_text())
    context = folded_codec.context
    assert context is not None
    assert model["identities"] == {
        str(bitstream.RAW): model_identity(folded_codec).hex(),
        str(bitstream.CONTEXT): model_identity(folded_codec, context).hex(),
    }
    assert model["context"]["coder"] == bitstream.CONTEXT
    numbers = (exported / CONTEXT).read_bytes()
    for name, tensor in context.tensors.items():
        found = model["context"]["tensors"][name]
        values = np.frombuffer(numbers, found["type"], tensor.size, found["offset"]).reshape(found["shape"])
        assert np.array_equal(values, tensor)
    assert len(numbers) == sum(tensor.nbytes for tensor in context.tensors.values())


def test_weights_are_stored_as_float16_where_it_holds_them() -> None:
    from onnx import TensorProto, helper, numpy_helper

    weights = {"even": np.array([0.5, -2.0, 60000.0], np.float32), "odd": np.array([0.1, 1.0, 1e6], np.float32)}
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Mul", ["even", "odd"], ["product"])],
            "product",
            [],
            [helper.make_tensor_value_info("product", TensorProto.FLOAT, [3])],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    store_as_float16(model)
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert stored == {"even.float16": TensorProto.FLOAT16, "odd": TensorProto.FLOAT}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert np.array_equal(session.run(None, {})[0], weights["even"] * weights["odd"])


def test_command_keeps_what_exists(tiny_weights: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from rnncodec.cli import app
    from rnncodec.export.web import PAGE

    mine = [("export", tmp_path / DECODER), ("web", tmp_path / PAGE), ("web", tmp_path / "page.css")]
    for command, path in mine:
        for _, other in mine:
            other.unlink(missing_ok=True)
        path.write_bytes(b"mine")
        done = CliRunner().invoke(app, [command, str(tiny_weights), "-o", str(tmp_path)])
        assert isinstance(done.exception, OutputError)
        assert "--overwrite" in str(done.exception)
        assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"mine"]
