"""The check of an exported network's description: model.json holds what `rnncodec export` writes, or is refused.

Whoever wrote the file chose every value in it. What can be computed from other values (shapes, offsets, the ids of
coders) is computed, and the file must say the same.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnncodec.entropy.checkerboard_integers import TYPES
from rnncodec.entropy.config import ContextConfig
from rnncodec.entropy.contexts import CONTEXTS, context_class, context_model, tensor_shapes
from rnncodec.entropy.interface import ContextModel
from rnncodec.errors import ModelError
from rnncodec.fileformat.bitstream import MAX_LAYERS, RAW, STRIDE
from rnncodec.fileformat.json_input import read_json
from rnncodec.network.options import MOST_RUNS, is_whole

FORMAT = "rnncodec-onnx-2"
MOST_BYTES = 2**20  # of the file
MOST_STATES = 64  # of a graph: eight times those of the largest network of the paper
MOST_STATE_SIZE = 2**20  # numbers in all states of a graph for one position; the paper's networks have some 2^15


def read_description(path: Path) -> dict[str, Any]:
    """The content of the file: ``format``, ``identities`` (bytes by the id of the coder), ``iterations``, ``stride``,
    ``config``, ``encoder_states``, ``decoder_states``, ``sums`` and ``context``, as docs/ONNX.md describes them.

    Raises:
        ModelError: a value is not one that `rnncodec.export.onnx.export` could have written.
    """
    try:
        model = read_json(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        raise ModelError(f"it cannot be read ({error})") from None
    require(isinstance(model, dict), "it is no JSON object")
    found = model.get("format")
    require(found == FORMAT, f"its format is {found}, not {FORMAT}; export the network anew: rnncodec export")
    require(is_whole(model.get("iterations"), 1, MAX_LAYERS), f"iterations must be from 1 to {MAX_LAYERS}")
    require(model.get("stride") == STRIDE, f"stride must be {STRIDE}")
    config = model.get("config")
    require(isinstance(config, dict), "it has no config")
    for name, least, most in (("bits", 1, 255), ("priming", 0, MOST_RUNS), ("diffusion", 0, MOST_RUNS)):
        require(is_whole(config.get(name), least, most), f"config.{name} must be from {least} to {most}")
    for name in ("encoder_states", "decoder_states", "sums"):
        require(valid_states(model.get(name)), f"{name} must be a list of shapes, each of channels and a scale")
    require(bool(model["sums"]), "there are no sums")
    require("context" in model, "it says nothing about a context model")
    coders = [RAW]
    if model["context"] is not None:
        coders.append(context_class(described_config(model["context"], config["bits"])).coder)
    return model | {"identities": identities(model.get("identities"), coders)}


def require(holds: bool, otherwise: str) -> None:
    """Raises ModelError with the message ``otherwise`` if something does not hold."""
    if not holds:
        raise ModelError(otherwise)


def identities(described: Any, coders: list[int]) -> dict[int, bytes]:
    """The identity of four bytes for each of ``coders``."""
    named = isinstance(described, dict) and described.keys() == {str(coder) for coder in coders}
    require(named, f"identities must be those for the coders {coders}")
    try:
        found = {coder: bytes.fromhex(described[str(coder)]) for coder in coders}
    except (TypeError, ValueError):
        found = {}
    require(bool(found) and all(len(identity) == 4 for identity in found.values()), "identities must be hex, 4 bytes")
    return found


def valid_states(described: Any) -> bool:
    """Whether ``described`` is a list of ``{"channels": [whole numbers], "scale": whole number}`` of sensible sizes."""
    if not isinstance(described, list) or len(described) > MOST_STATES:
        return False
    size = 0
    for state in described:
        channels, scale = (state.get("channels"), state.get("scale", 0)) if isinstance(state, dict) else (None, 0)
        if not isinstance(channels, list) or not 1 <= len(channels) <= 2 or not is_whole(scale, 1, STRIDE):
            return False
        if not all(is_whole(each, 1, MOST_STATE_SIZE) for each in channels):
            return False
        size += math.prod(channels) * scale**2
    return size <= MOST_STATE_SIZE


def described_config(described: Any, bits: int) -> ContextConfig:
    """The config of the context model."""
    require(isinstance(described, dict), "context must be a JSON object, or null")
    name = described.get("name")
    require(isinstance(name, str) and name in CONTEXTS, f"context.name must be one of {', '.join(CONTEXTS)}")
    values = described.get("config")
    require(isinstance(values, dict), "the context model has no config")
    config = CONTEXTS[name].config.from_mapping(values)
    require(config.bits == bits, f"the context model is for {config.bits} bits a position, the network has {bits}")
    coder = context_class(config).coder
    require(described.get("coder") == coder, f"context.coder must be {coder}")
    return config


def read_context(model: Mapping[str, Any], path: Path) -> ContextModel | None:
    """The context model that a description names, with its numbers from the file ``path``; None if there is none.

    Raises:
        ModelError: the description of a tensor is not that of this context model, or the file has another size.
    """
    described = model["context"]
    if described is None:
        return None
    config = described_config(described, model["config"]["bits"])
    shapes = tensor_shapes(config)
    tensors = described.get("tensors")
    require(isinstance(tensors, dict) and tensors.keys() == shapes.keys(), f"tensors must be {', '.join(shapes)}")
    places, end = {}, 0
    for name, shape in sorted(shapes.items()):
        kind = tensors[name].get("type") if isinstance(tensors[name], dict) else None
        require(isinstance(kind, str) and kind in TYPES, f"{name} must be of the type {' or '.join(TYPES)}")
        wanted = {"type": kind, "shape": list(shape), "offset": end}
        require(tensors[name] == wanted, f"{name} must be {wanted}, not {tensors[name]}")
        places[name] = np.dtype(kind).newbyteorder("<"), shape, end
        end += math.prod(shape) * np.dtype(kind).itemsize
    size = path.stat().st_size
    require(size == end, f"{path.name} must have {end:,} bytes, not {size:,}")
    numbers = path.read_bytes()
    return context_model(config, {name: tensor(numbers, *place) for name, place in places.items()})


def tensor(numbers: bytes, stored: np.dtype[Any], shape: tuple[int, ...], offset: int) -> NDArray[np.integer]:
    """The tensor that begins at ``offset``, in the byte order of this machine."""
    found = np.frombuffer(numbers, stored, math.prod(shape), offset).reshape(shape)
    return found.astype(stored.newbyteorder("="))
