"""A network that `rnncodec export` has written, as docs/ONNX.md describes it, run by onnxruntime. Needs no torch, which
takes longer to import than a photo to decode."""

import functools
import json
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnncodec.coding.base import FileDecoder
from rnncodec.entropy.checkerboard_integers import IntegerContext
from rnncodec.entropy.config import CheckerboardConfig, RecurrentCheckerboardConfig
from rnncodec.entropy.interface import Codes, Context
from rnncodec.entropy.recurrent_checkerboard_integers import RecurrentIntegerContext
from rnncodec.errors import ConfigurationError, ModelError
from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.pictures.pixels import Pixels
from rnncodec.pictures.tiles import Tile, Tiling, Window

FORMAT = "rnncodec-onnx-1"
FILES = ENCODER, DECODER, CONTEXT, MODEL = "encoder.onnx", "decoder.onnx", "context.bin", "model.json"

Floats = NDArray[np.float32]

# The context models that can be exported.
CONTEXTS: dict[str, tuple[Any, Any]] = {
    CheckerboardConfig.name: (CheckerboardConfig, IntegerContext),
    RecurrentCheckerboardConfig.name: (RecurrentCheckerboardConfig, RecurrentIntegerContext),
}


def is_exported(path: str) -> bool:
    """Whether ``path`` is a folder with an exported network."""
    return (Path(path) / MODEL).is_file()


class OnnxDecoder(FileDecoder[Floats]):
    """The exported network in ``folder``. Its pictures are float32 ``[1, 3, H, W]``, 0 is mid-grey.
    ``threads`` are those of onnxruntime, by default one a core.

    Raises:
        ConfigurationError: onnxruntime is missing.
        ModelError: a file is missing, or cannot be read.
    """

    def __init__(self, folder: Path, tiling: Tiling = Tiling(), threads: int = 0) -> None:  # noqa: B008 (it cannot change)
        if find_spec("onnxruntime") is None:
            raise ConfigurationError(
                f"{folder} holds an exported network, which needs onnxruntime: pip install 'rnncodec[onnx]'"
            )
        try:
            self.model = json.loads((folder / MODEL).read_text())
            if self.model["format"] != FORMAT:
                raise ModelError(f"{folder / MODEL} has the format {self.model['format']}, not {FORMAT}")
            identities = {int(coder): bytes.fromhex(each) for coder, each in self.model["identities"].items()}
            context = context_of(self.model, (folder / CONTEXT).read_bytes())
            super().__init__(identities, context, self.model["config"]["bits"], tiling)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{folder / MODEL} is not the description of an exported network ({error})") from None
        try:
            self.graph = session(folder / DECODER, threads)
        except Exception as error:  # onnxruntime has a class of errors for each cause
            raise ModelError(f"{folder / DECODER} cannot be loaded ({error})") from None

    def decode_codes(self, layers: Iterable[Codes]) -> Iterator[Floats]:
        """Yields the picture after each layer of codes ``[bits, h, w]``."""
        for t, codes in enumerate(layers):
            if t == 0:
                h, w = codes.shape[1:]
                previous = np.zeros((1, 3, STRIDE * h, STRIDE * w), np.float32)
                states = zero_states(self.model["decoder_states"], h, w)
            inputs = {"codes": codes[None].astype(np.float32), "previous": previous}
            previous = step(self.graph, self.model["config"], t, inputs, states)
            yield previous

    def _decode_tile(self, tile: Tile, codes: Iterable[Codes]) -> Iterator[Floats]:
        return self.decode_codes(each[(..., *tile.whole)] for each in codes)

    def _cut(self, picture: Floats, window: Window) -> Pixels:
        part = picture[(0, ..., *window)] + np.float32(0.5)
        return np.rint(part.clip(0.0, 1.0) * np.float32(255.0)).astype(np.uint8).transpose(1, 2, 0)


def context_of(model: dict[str, Any], numbers: bytes) -> Context | None:
    """The context model that the contents of MODEL and CONTEXT hold, or None."""
    described = model["context"]
    if described is None:
        return None
    config, context = CONTEXTS[described["name"]]
    tensors = {
        name: np.ndarray(tensor["shape"], np.dtype(tensor["type"]).newbyteorder("<"), numbers, tensor["offset"]).astype(
            tensor["type"]
        )
        for name, tensor in described["tensors"].items()
    }
    made: Context = context(config.from_mapping(described["config"]), tensors)
    return made


def session(graph: Path, threads: int) -> Any:
    """The graph in onnxruntime, on so many threads; 0 is one a core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait sleep: else those of one graph take the cores from the other one, and from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def zero_states(described: list[dict[str, Any]], h: int, w: int) -> list[Floats]:
    """The states of a graph before the first iteration, for ``h × w`` positions."""
    return [np.zeros((1, *each["channels"], each["scale"] * h, each["scale"] * w), np.float32) for each in described]


def step(graph: Any, config: dict[str, Any], t: int, inputs: dict[str, Floats], states: list[Floats]) -> Floats:
    """The output of a graph in iteration ``t``; ``states`` become the new ones."""
    used = {each.name for each in graph.get_inputs()}  # an input that no result depends on is not in the graph
    for _ in range(1 + config["diffusion" if t else "priming"]):
        given = inputs | {f"state_{i}": state for i, state in enumerate(states)} | {"t": np.array(t)}
        output, *states[:] = graph.run(None, {name: value for name, value in given.items() if name in used})
    return output


def load_onnx_decoder(folder: str, device: str = "cpu") -> OnnxDecoder:
    """The exported network in ``folder``. It is kept for later calls, until MODEL changes.

    Raises:
        ConfigurationError: the device is not the CPU, or onnxruntime is missing.
        ModelError: the network cannot be read.
    """
    if device != "cpu":
        raise ConfigurationError(f"an exported network runs on the CPU, not on '{device}'; name its weights instead")
    path = Path(folder).resolve()
    return _loaded(path, (path / MODEL).stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _loaded(folder: Path, version: int) -> OnnxDecoder:
    """``version`` is part of the cache's key: a network that was written anew is loaded anew."""
    return OnnxDecoder(folder)
