"""A network that `rnncodec export` has written, as docs/ONNX.md describes it, run by onnxruntime. Needs no torch, which
takes longer to import than a photo to decode."""

import functools
import os
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rnncodec.coding.base import FileDecoder, Floats
from rnncodec.coding.onnx_description import read_context, read_description
from rnncodec.entropy.interface import Codes
from rnncodec.errors import ConfigurationError, ModelError, first_line
from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.pictures.tiles import Tile, Tiling, Window

FILES = ENCODER, DECODER, PIXELS, CONTEXT, MODEL = (
    "encoder.onnx",
    "decoder.onnx",
    "pixels.onnx",
    "context.bin",
    "model.json",
)


def is_exported(path: str) -> bool:
    """Whether ``path`` is a folder with an exported network. A folder that may not be read counts as none."""
    try:
        return (Path(path) / MODEL).is_file()
    except OSError:
        return False


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
            self.model = read_description(folder / MODEL)
            context = read_context(self.model, folder / CONTEXT)
        except (OSError, ModelError, ConfigurationError) as error:
            raise ModelError(f"{folder / MODEL} is not the description of an exported network ({error})") from None
        super().__init__(self.model["identities"], context, self.model["config"]["bits"], tiling)
        self.decoder, self.pixels = (load(folder / name, threads) for name in (DECODER, PIXELS))
        states, sums = self.model["decoder_states"], self.model["sums"]
        check_graph(self.decoder, folder / DECODER, {"sum": sums, "state": states}, len(sums) + len(states))
        check_graph(self.pixels, folder / PIXELS, {"sum": sums}, 1)

    def decode_codes(self, layers: Iterable[Codes]) -> Iterator[Floats]:
        """Yields the picture after each layer of codes ``[bits, h, w]``."""
        return map(self.picture_of, self.sums_of(layers))

    def sums_of(self, layers: Iterable[Codes]) -> Iterator[list[Floats]]:
        """Yields what the layers up to each one add up to (`rnncodec.network.last_picture`)."""
        for t, codes in enumerate(layers):
            if t == 0:
                h, w = codes.shape[1:]
                states, sums = (zeros(self.model[name], h, w) for name in ("decoder_states", "sums"))
            inputs = {"codes": codes[None].astype(np.float32)} | numbered("sum", sums)
            new = step(self.decoder, self.model["config"], t, inputs, states)
            if any(old.shape != each.shape for old, each in zip(sums, new, strict=True)):
                raise ModelError("the graph of the exported network changes the shapes of its sums")
            sums = new
            yield sums

    def picture_of(self, sums: list[Floats]) -> Floats:
        """The picture that ``sums`` stand for."""
        (picture,) = run(self.pixels, numbered("sum", sums))
        wanted = tuple(STRIDE * side // self.model["sums"][0]["scale"] for side in sums[0].shape[-2:])
        if picture.shape != (1, 3, *wanted) or picture.dtype != np.float32:
            raise ModelError(f"the graph of the exported network gives no picture, but {picture.dtype} {picture.shape}")
        return picture

    def _decode_tile(self, tile: Tile, codes: Iterable[Codes]) -> Iterator[Floats]:
        return self.decode_codes(each[(..., *tile.whole)] for each in codes)

    def _decode_last(self, tile: Tile, codes: Iterable[Codes]) -> Floats:
        sums: list[Floats] = []
        for sums in self.sums_of(each[(..., *tile.whole)] for each in codes):  # noqa: B007 (the last alone is kept)
            pass
        return self.picture_of(sums)

    def part(self, picture: Floats, window: Window) -> Floats:
        return picture[(0, ..., *window)] + np.float32(0.5)


def load(graph: Path, threads: int) -> Any:
    """The graph, as `session` gives it. Raises ModelError if it cannot be loaded."""
    try:
        return session(graph, threads)
    except Exception as error:  # onnxruntime has a class of errors for each cause
        raise ModelError(f"{graph} cannot be loaded ({first_line(error)})") from None


def session(graph: Path, threads: int) -> Any:
    """The graph in onnxruntime, on so many threads; 0 is one a core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait sleep: else those of one graph take the cores from the other one, and from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors are raised
    # From its content, not by its name: a graph could name other files that hold its numbers.
    return onnxruntime.InferenceSession(graph.read_bytes(), options, providers=["CPUExecutionProvider"])


def check_graph(graph: Any, path: Path, described: dict[str, list[dict[str, Any]]], outputs: int) -> None:
    """Raises ModelError if a graph does not have the inputs that its description names, by the name of their kind, or
    another number of outputs."""
    channels = {f"{kind}_{i}": each["channels"] for kind, shapes in described.items() for i, each in enumerate(shapes)}
    for each in graph.get_inputs():
        if each.name in channels and each.shape[1:-2] != channels[each.name]:
            raise ModelError(f"{path} has the input {each.name} {each.shape}, not of {channels[each.name]} channels")
    if len(graph.get_outputs()) != outputs:
        raise ModelError(f"{path} has {len(graph.get_outputs())} outputs, not {outputs}")


def zeros(described: list[dict[str, Any]], h: int, w: int) -> list[Floats]:
    """The states or sums of a graph before the first iteration, for ``h × w`` positions."""
    return [np.zeros((1, *each["channels"], each["scale"] * h, each["scale"] * w), np.float32) for each in described]


def numbered(kind: str, values: list[Floats]) -> dict[str, Floats]:
    """The inputs of one kind, by their names in the graph."""
    return {f"{kind}_{i}": value for i, value in enumerate(values)}


def step(graph: Any, config: dict[str, Any], t: int, inputs: dict[str, Floats], states: list[Floats]) -> list[Floats]:
    """The outputs of a graph in iteration ``t`` that come before its states; ``states`` become the new ones.

    Raises:
        ModelError: the graph cannot run on these inputs, or its new states have other shapes.
    """
    for _ in range(1 + config["diffusion" if t else "priming"]):
        found = run(graph, inputs | numbered("state", states) | {"t": np.array(t)})
        outputs, new = found[: len(found) - len(states)], found[len(found) - len(states) :]
        if any(old.shape != state.shape for old, state in zip(states, new, strict=True)):
            raise ModelError("the graph of the exported network changes the shapes of its states")
        states[:] = new
    return outputs


def run(graph: Any, inputs: dict[str, Any]) -> list[Floats]:
    """The outputs of a graph. Raises ModelError if it cannot run on these inputs."""
    used = {each.name for each in graph.get_inputs()}  # an input that no result depends on is not in the graph
    try:
        return graph.run(None, {name: value for name, value in inputs.items() if name in used})
    except Exception as error:  # onnxruntime has a class of errors for each cause
        raise ModelError(f"the graph of the exported network cannot run ({first_line(error)})") from None


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
    threads = os.environ.get("OMP_NUM_THREADS", "")  # as for torch; onnxruntime does not heed it by itself
    return OnnxDecoder(folder, threads=int(threads) if threads.isdecimal() else 0)
