"""Weights files: safetensors files whose metadata holds the config of the network and how it was trained.

A file may also hold a context model of the network's codes. The names of its tensors begin with ``context.``.
"""

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rnncodec.atomic_file import replacing
from rnncodec.entropy.checkerboard_integers import TYPES
from rnncodec.entropy.contexts import context_config, context_model, tensor_shapes
from rnncodec.entropy.interface import ContextModel
from rnncodec.errors import ConfigurationError, ModelError, PackageError
from rnncodec.fileformat.bitstream import MAX_LAYERS, RAW
from rnncodec.fileformat.json_input import parse_json
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.config import ADDED, CodecConfig, as_older
from rnncodec.network.options import is_whole
from rnncodec.network.parts import allow
from rnncodec.weights.hub import download, is_on_hub
from rnncodec.weights.released import DEFAULT_MODEL, RUN_CONFIG, RUN_WEIGHTS, released_models

FORMAT = "rnncodec-1"
CONTEXT = "context."

FLOATS = ("F16", "F32")  # safetensors' names of the types of weights
STORED_TYPES = {"int16": "I16", "int32": "I32"}  # and of those of context models
Expected = dict[str, tuple[tuple[str, ...], list[int]]]  # by name: the types that a tensor may have, and its shape

MOST_HEADER = 2**20  # bytes; it takes some twenty times as much memory to read
MOST_BYTES = 2**32  # of a file, about a billion weights

# Names that differ in weights files: there, and so in the identities of weights, the linear path has an older name.
STORED_OPTIONS = {"linear_path": "patches"}
STORED_TENSORS = {"decoder.linear_path.": "decoder.patches."}  # the beginnings of the names of tensors


def save_model(codec: IterativeCodec, path: str | os.PathLike[str], training: dict[str, Any], half: bool) -> None:
    """Write the weights of ``codec``, its config and its context model to ``path``. ``training`` describes how the
    weights were trained; its ``iterations`` is the number of layers that files get at most by default, 16 if it is
    missing. ``half`` stores float16, which halves the file.

    Raises:
        ModelError: a weight is not finite, or, with ``half``, too large for float16; nothing is written.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {name: value.detach().cpu().to(dtype).contiguous() for name, value in stored_tensors(codec).items()}
    try:
        check_finite(tensors)
    except ModelError as error:
        raise ModelError(f"{path} is not written, because {error}") from None
    metadata = {
        "format": FORMAT,
        "identity": _identity(codec.config, tensors).hex(),
        "config": _options(codec.config),
        "training": json.dumps(training, sort_keys=True),
    }
    if codec.context is not None:
        metadata["context_identity"] = _identity(codec.config, tensors, codec.context).hex()
        metadata["context"] = json.dumps({"name": codec.context.config.name} | asdict(codec.context.config))
        tensors |= {CONTEXT + name: torch.from_numpy(value) for name, value in codec.context.tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata))  # save_file's file could be read by its owner alone


def load_model(path_or_name: str | os.PathLike[str] = DEFAULT_MODEL, packages: Collection[str] = ()) -> IterativeCodec:
    """The network in a weights file, in eval mode, on the CPU, in float32.

    ``codec.training_info`` is the ``training`` that was given to `save_model`; ``codec.context`` is the context model
    in the file, or None.

    Args:
        path_or_name: a released model's name, a weights file, a run's folder, or ``hf://OWNER/NAME``, a repository on
            the Hugging Face Hub, which needs huggingface_hub.
        packages: whose classes the file may name as parts of the network. Without them such a file is refused, unless
            it is that of a run's folder, whose config names the class.

    Raises:
        ModelError: no such file or name, or not a weights file of rnncodec, or its weights are not finite; or it needs
            a package that is not allowed (`rnncodec.network.parts`).
        ConfigurationError: huggingface_hub is needed and missing.
    """
    path = find_model(path_or_name)
    try:
        check_lengths(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ModelError(
                    f"{path}: not weights of rnncodec, or of a newer version (format {metadata.get('format')})"
                )
            allow(packages)
            try:
                config = CodecConfig.from_stored(stored_options(_values(metadata, "config")))
                allow(packages_of_run(Path(path_or_name), config))
                return _network(file, config, metadata).eval()
            except PackageError as error:
                raise ModelError(f"{path}: {error}") from None
            except (KeyError, TypeError, ValueError, RuntimeError, ConfigurationError, ModelError) as error:
                raise ModelError(f"{path}: its weights and its config do not fit together ({error})") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error})") from None


def packages_of_run(folder: Path, config: CodecConfig) -> list[str]:
    """Those packages of ``config`` that the run in ``folder`` names in its own config, which is a program already. None
    if ``folder`` is no folder of a run."""
    saved = folder / RUN_CONFIG
    text = saved.read_text() if config.packages and saved.is_file() else ""
    return [package for package in config.packages if f"_target_: {package}." in text]


def check_lengths(path: Path) -> None:
    """Raises ModelError if the file, or its header, is larger than those of any sensible network. Nothing else of the
    file is read before."""
    with path.open("rb") as file:
        header, size = int.from_bytes(file.read(8), "little"), os.fstat(file.fileno()).st_size
    for name, found, most in (("header", header, MOST_HEADER), ("file", size, MOST_BYTES)):
        if found > most:
            raise ModelError(f"{path}: not a readable safetensors file (its {name} has {found:,} bytes, over {most:,})")


def _network(file: Any, config: CodecConfig, metadata: Mapping[str, str]) -> IterativeCodec:
    """The network of this ``config`` in an open weights ``file``. The names, types and shapes of all tensors are
    compared with the config before memory is taken for any of them.

    Raises:
        KeyError, ValueError, ConfigurationError, ModelError: the file is not as `save_model` writes them.
    """
    training = _values(metadata, "training")
    if not is_whole(training.get("iterations", 1), 1, MAX_LAYERS):
        raise ModelError(f"training.iterations must be a whole number from 1 to {MAX_LAYERS}")
    with torch.device("meta"):  # takes no memory
        shapes = {name: list(value.shape) for name, value in stored_tensors(IterativeCodec(config)).items()}
    expected: Expected = {name: (FLOATS, shape) for name, shape in shapes.items()}
    context = None
    if "context" in metadata:
        context = context_config(_values(metadata, "context"))
        if context.bits != config.bits:
            raise ModelError(f"the context model is for {context.bits} bits a position, the network has {config.bits}")
        types = tuple(STORED_TYPES[each] for each in TYPES)
        expected |= {CONTEXT + name: (types, list(shape)) for name, shape in tensor_shapes(context).items()}
    _check_header(file, expected)
    tensors = {name: file.get_tensor(name) for name in expected}
    check_finite(tensors)
    numbers = {name.removeprefix(CONTEXT): tensors.pop(name).numpy() for name in expected if name.startswith(CONTEXT)}
    with torch.device("cpu"), torch.inference_mode(False):  # whatever the caller's are
        codec = IterativeCodec(config).float()
    own = {_stored(name, STORED_TENSORS): name for name in codec.state_dict()}
    codec.load_state_dict({own[name]: value.float() for name, value in tensors.items()})
    codec.training_info = training
    if context is not None:
        codec.context = context_model(context, numbers)
    return codec


def _values(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    """The options that are stored as JSON under ``name``."""
    values = parse_json(metadata[name])
    if not isinstance(values, dict):
        raise ModelError(f"its {name} has no options")
    return values


def _check_header(file: Any, expected: Expected) -> None:
    """Raises ModelError if the tensors in ``file`` are not the ``expected`` ones. No tensor is read."""
    names = set(file.keys())
    for kind, wrong in (("lacks", expected.keys() - names), ("has needless", names - expected.keys())):
        if wrong:
            raise ModelError(f"it {kind} tensors: {', '.join(sorted(wrong)[:5])}{', …' if len(wrong) > 5 else ''}")
    for name, (types, shape) in expected.items():
        found = file.get_slice(name)
        if found.get_dtype() not in types or found.get_shape() != shape:
            wanted = f"{' or '.join(types)} {shape}"
            raise ModelError(f"{name} must be {wanted}, not {found.get_dtype()} {found.get_shape()}")


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raises ModelError if one of ``tensors`` holds NaN or infinity."""
    for name, value in tensors.items():
        if not bool(value.isfinite().all()):
            raise ModelError(f"{name} holds numbers that are not finite, as after a training that diverged")


def find_model(path_or_name: str | os.PathLike[str]) -> Path:
    """The path of a weights file, from the name of released weights, a path, a run's folder, or the name of a
    repository on the Hugging Face Hub, whose file is downloaded. A file or folder that has the name of released weights
    is given as ``./light``.

    Raises:
        ModelError: there is no such file, or it cannot be downloaded.
        ConfigurationError: huggingface_hub is missing.
    """
    if is_on_hub(path_or_name):
        return download(str(path_or_name), MOST_BYTES)
    names = released_models()
    if str(path_or_name) in names:
        return names[str(path_or_name)]
    path = Path(path_or_name)
    try:
        if path.is_dir():
            path = path / RUN_WEIGHTS
        if path.is_file():
            return path
    except OSError as error:  # it may not be looked for
        raise ModelError(f"{path}: {error.strerror}") from None
    raise ModelError(f"{path_or_name}: neither a weights file nor a released model ({', '.join(names) or 'none'})")


def half_holds(codec: IterativeCodec) -> bool:
    """Whether float16 represents every weight of ``codec`` exactly."""
    return all(torch.equal(value, value.half().to(value.dtype)) for value in codec.state_dict().values())


def model_identity(codec: IterativeCodec, context: ContextModel | None = None) -> bytes:
    """Four bytes that identify a network: the first of the SHA-256 of the config and of every weight, as float32. If
    ``context`` is given, it is hashed as well: files under different context models do not decode each other."""
    return _identity(codec.config, stored_tensors(codec), context)


def identities(codec: IterativeCodec) -> dict[int, bytes]:
    """The identities of ``codec`` in the files that it can read, by the id of their coder: of the network alone for raw
    bits, and of network and context model."""
    found = {RAW: model_identity(codec)}
    if codec.context is not None:
        found[codec.context.coder] = model_identity(codec, codec.context)
    return found


def _options(config: CodecConfig) -> str:
    """The config as JSON, as it is stored in the file and hashed for the identity."""
    options = as_older(asdict(config))
    options = {name: value for name, value in options.items() if (name, value) not in ADDED.items()}
    return json.dumps({STORED_OPTIONS.get(name, name): value for name, value in options.items()}, sort_keys=True)


def stored_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The options in a weights file, by the names that `CodecConfig` has for them."""
    own = {name: option for option, name in STORED_OPTIONS.items()}
    return {own.get(name, name): value for name, value in stored.items()}


def stored_tensors(codec: IterativeCodec) -> dict[str, Tensor]:
    """The tensors of ``codec``, by their names in a weights file."""
    return {_stored(name, STORED_TENSORS): value for name, value in codec.state_dict().items()}


def _stored(name: str, beginnings: Mapping[str, str]) -> str:
    """``name`` as it is in a weights file."""
    for own, stored in beginnings.items():
        if name.startswith(own):
            return stored + name.removeprefix(own)
    return name


def _identity(config: CodecConfig, weights: Mapping[str, Tensor], context: ContextModel | None = None) -> bytes:
    digest = hashlib.sha256(_options(config).encode())
    for name, value in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes())
    if context is not None:
        digest.update(json.dumps(asdict(context.config), sort_keys=True).encode())
        for name, tensor in sorted(context.tensors.items()):
            digest.update(name.encode())
            digest.update(tensor.astype("<f4" if tensor.dtype.kind == "f" else "<i4").tobytes())
    return digest.digest()[:4]
