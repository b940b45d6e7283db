"""Export of a network to ONNX, as docs/ONNX.md describes: one graph for an iteration of the encoder, one for an
iteration of the decoder, one for the picture, the numbers of the context model, and a JSON file with all that a program
needs besides."""

import copy
import json
import logging
import os
import warnings
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from rnncodec.atomic_file import replacing
from rnncodec.coding.onnx_codec import CONTEXT, DECODER, ENCODER, MODEL, PIXELS
from rnncodec.coding.onnx_description import FORMAT
from rnncodec.entropy.interface import ContextModel
from rnncodec.errors import extra
from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.last_picture import Sums, add, reconstruct
from rnncodec.network.precision import round_convolutions
from rnncodec.weights.weights_file import identities

OPSET = 18

# Rows and columns of codes, and pictures, of the example that is traced: all different, so that none of these sizes is
# taken for another one.
ROWS, COLUMNS, BATCH = 3, 5, 2
T = torch.tensor(1)  # its iteration


class _Step(nn.Module):
    """A part of the network as the exporter takes it: a copy whose convolutions have the rounded weights of every
    decoder. The iteration ``t`` ``[]``, an int64, is an input of the graph."""

    def __init__(self, codec: IterativeCodec) -> None:
        super().__init__()
        self.codec = copy.deepcopy(codec)
        round_convolutions(self.codec)


class EncoderStep(_Step):
    """``(picture, previous, t, states) -> (codes, *states)``. Both pictures are shifted by -½, so that 0 is
    mid-grey."""

    def forward(self, picture: Tensor, previous: Tensor, t: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
        residual = picture - previous
        features, new_states = self.codec.encoder(residual * self.codec.amplification(previous, t), states)
        activations = self.codec.activations(features, residual, t)
        return self.codec.binarizer(activations), *pytree.tree_leaves(new_states)


class DecoderStep(_Step):
    """``(codes, t, sums, states) -> (*sums, *states)``, with the sums of `rnncodec.network.last_picture`."""

    def forward(self, codes: Tensor, t: Tensor, sums: Sums, states: list[Tensor]) -> tuple[Tensor, ...]:
        features, new_states = self.codec.decoder(codes, states, t)
        return *add(self.codec, sums, codes, features, t), *pytree.tree_leaves(new_states)


class PixelsStep(_Step):
    """``sums -> reconstruction``, a picture as in `EncoderStep`."""

    def forward(self, sums: Sums) -> Tensor:
        return reconstruct(self.codec, sums)


@dataclass(frozen=True)
class StateShape:
    """The shape of one state or sum: ``[B, *channels, scale · h, scale · w]`` for codes of ``h × w`` positions."""

    channels: tuple[int, ...]
    scale: int


def export(codec: IterativeCodec, folder: str | os.PathLike[str]) -> None:
    """Write ``codec`` and its context model into ``folder``, as five files.

    Raises:
        ConfigurationError: a package is missing.
    """
    with extra("onnx", "export"):
        import onnxscript  # noqa: F401 (torch.onnx needs it)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    encoder, decoder, sums = example(codec)
    picture, previous = (torch.zeros(BATCH, 3, STRIDE * ROWS, STRIDE * COLUMNS) for _ in range(2))  # not one tensor
    codes = torch.ones(BATCH, codec.config.bits, ROWS, COLUMNS)
    contents = {
        ENCODER: graph(
            EncoderStep(codec), {"picture": picture, "previous": previous, "t": T, "states": encoder}, ["codes"]
        ),
        DECODER: graph(
            DecoderStep(codec),
            {"codes": codes, "t": T, "sums": sums, "states": decoder},
            [f"new_sum_{i}" for i in range(len(sums))],
        ),
        PIXELS: graph(PixelsStep(codec), {"sums": sums}, ["reconstruction"]),
        CONTEXT: b"" if codec.context is None else context_numbers(codec.context),
        MODEL: json.dumps(description(codec, encoder, decoder, sums)).encode(),
    }
    (folder / MODEL).unlink(missing_ok=True)  # it comes last: without it the folder counts as none of a network
    for name, content in contents.items():
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)


@torch.no_grad()
def example(codec: IterativeCodec) -> tuple[Any, Any, Sums]:
    """The states of encoder and decoder, as the cells have them, and the sums, after an iteration on the example's
    pictures."""
    pictures = torch.zeros(BATCH, 3, STRIDE * ROWS, STRIDE * COLUMNS)
    activations, state = codec.encode_step(pictures, codec.start(pictures))
    codes = codec.binarizer(activations)
    features, decoder = codec.decode_features(codes, None, 0)
    return state.encoder, decoder, add(codec, None, codes, features, 0)


def graph(step: _Step, inputs: dict[str, Any], outputs: list[str]) -> bytes:
    """The ONNX graph of ``step``, with the sizes of pictures, codes, sums and states left open. ``outputs`` are the
    names of those before the new states."""
    batch, rows, columns = (torch.export.Dim(name) for name in ("batch", "h", "w"))

    def size(tensor: Tensor) -> dict[int, Any] | None:
        if tensor is T:
            return None
        scale = tensor.shape[-2] // ROWS
        open_sizes = (rows, columns) if scale == 1 else (scale * rows, scale * columns)
        return {0: batch, tensor.ndim - 2: open_sizes[0], tensor.ndim - 1: open_sizes[1]}

    count = len(pytree.tree_leaves(inputs.get("states", [])))
    lists = {"sums": "sum", "states": "state"}
    names = [
        [f"{lists[name]}_{i}" for i in range(len(pytree.tree_leaves(value)))] if name in lists else [name]
        for name, value in inputs.items()
    ]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            step.eval(),
            kwargs=inputs,
            dynamic_shapes=pytree.tree_map(size, inputs),
            input_names=list(chain.from_iterable(names)),
            output_names=[*outputs, *(f"new_state_{i}" for i in range(count))],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    store_as_float16(model)
    return model.SerializeToString()


def store_as_float16(model: Any) -> None:
    """Store the weights in the ONNX ``model`` that float16 holds exactly as float16, which the graph turns into
    float32 again. No result changes."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for index, tensor in enumerate(model.graph.initializer):
        if tensor.data_type != TensorProto.FLOAT:
            continue
        value = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = value.astype(np.float16)
        if np.array_equal(half.astype(np.float32), value):
            stored = f"{tensor.name}.float16"
            casts.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
            model.graph.initializer[index].CopyFrom(numpy_helper.from_array(half, stored))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def description(codec: IterativeCodec, encoder: Any, decoder: Any, sums: Sums) -> dict[str, Any]:
    """The content of MODEL; ``encoder`` and ``decoder`` are states."""
    return {
        "format": FORMAT,
        "identities": {str(coder): identity.hex() for coder, identity in identities(codec).items()},
        "iterations": codec.trained_iterations,
        "stride": STRIDE,
        "config": asdict(codec.config),
        "encoder_states": [asdict(state_shape(tensor)) for tensor in pytree.tree_leaves(encoder)],
        "decoder_states": [asdict(state_shape(tensor)) for tensor in pytree.tree_leaves(decoder)],
        "sums": [asdict(state_shape(tensor)) for tensor in sums],
        "context": None if codec.context is None else context_description(codec.context),
    }


def state_shape(tensor: Tensor) -> StateShape:
    return StateShape(tuple(tensor.shape[1:-2]), tensor.shape[-2] // ROWS)


def context_description(context: ContextModel) -> dict[str, Any]:
    """The config of a context model, and where in CONTEXT each of its tensors begins."""
    tensors, offset = {}, 0
    for name, tensor in sorted(context.tensors.items()):
        tensors[name] = {"type": tensor.dtype.name, "shape": tensor.shape, "offset": offset}
        offset += tensor.nbytes
    return {
        "name": context.config.name,
        "coder": context.coder,
        "config": asdict(context.config),
        "tensors": tensors,
    }


def context_numbers(context: ContextModel) -> bytes:
    """The content of CONTEXT: the tensors one after the other, row-major, in little-endian numbers."""
    return b"".join(
        tensor.astype(tensor.dtype.newbyteorder("<")).tobytes() for _, tensor in sorted(context.tensors.items())
    )
