"""What is done with a file of each kind: it ends in an RnncodecError, or in a valid picture or page."""

import json
import shutil
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from rnncodec.api import decompress
from rnncodec.cli.info import describe, table
from rnncodec.coding import onnx_codec
from rnncodec.coding.onnx_codec import CONTEXT, DECODER, MODEL, OnnxDecoder
from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.errors import RnncodecError
from rnncodec.evaluation.report.page import render, report_curves
from rnncodec.evaluation.results import ABOUT, MEASUREMENTS
from rnncodec.evaluation.sources import Source, read_sources
from rnncodec.evaluation.summary import cells, summarize
from rnncodec.fileformat import bitstream
from rnncodec.weights.weights_file import load_model
from tests.fuzz import mutators
from tests.fuzz.seeds import PHOTO

MOST_PIXELS = 2**18  # a larger picture is allowed to take longer
PIXELS = (np.arange(16 * 18 * 3).reshape(16, 18, 3) * 5 % 256).astype(np.uint8)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Args:
        seeds: the good files in the folder of seeds, as a pattern.
        use: does with a file, of which it is given the content, what a user would. Its other arguments are the folder
            of seeds and a folder for files of its own.
        mutate: changes a content, with knowledge of the kind: else most changes end at the first checksum.
        share: of all files, about.
    """

    seeds: str
    use: Callable[[bytes, Path, Path], None]
    mutate: Callable[[bytes, Random], bytes]
    share: float


def use(kind: str, content: bytes, seeds: Path, scratch: Path) -> None:
    """Use a file of a ``kind``. Raises what `Kind.use` raises, but no RnncodecError."""
    with warnings.catch_warnings(), suppress(RnncodecError):
        warnings.simplefilter("ignore")
        KINDS[kind].use(content, seeds, scratch)


def check_picture(pixels: np.ndarray, width: int, height: int) -> None:
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8


def use_file(content: bytes, seeds: Path, scratch: Path) -> None:
    """Decode a file with each of the models that could have written it."""
    file = bitstream.read(content)
    for name in ("raw", "checkerboard", "recurrent"):
        weights = seeds / "weights" / f"{name}.safetensors"
        try:
            picture = decompress(content, model=weights, max_pixels=MOST_PIXELS)
        except RnncodecError:
            continue
        check_picture(np.asarray(picture), file.header.width, file.header.height)


def use_information(content: bytes, seeds: Path, scratch: Path) -> None:
    """Show what a file holds, without decoding it, and cut it."""
    described = describe("file", bitstream.read(content))
    json.dumps(described)
    table(described)
    kept = bitstream.truncate(bitstream.read(content), len(content) // 2)
    assert bitstream.read(kept).whole
    assert len(kept) <= len(content) // 2


def use_weights(content: bytes, seeds: Path, scratch: Path) -> None:
    """Load a weights file, compress a picture with it, and decompress it."""
    path = scratch / "w.safetensors"
    path.write_bytes(content)
    codec = TorchCodec(load_model(path))
    (picture,) = codec.decode(bitstream.read(codec.compress(PIXELS, 1)))
    check_picture(picture, 18, 16)


def use_exported(replaced: str) -> Callable[[bytes, Path, Path], None]:
    """Decompress with an exported network of which the file ``replaced`` has another content."""

    def use(content: bytes, seeds: Path, scratch: Path) -> None:
        folder = scratch / "exported"
        if not folder.exists():
            shutil.copytree(seeds / "exported", folder)
        (folder / replaced).write_bytes(content)
        file = bitstream.read((folder / PHOTO).read_bytes())
        for picture in OnnxDecoder(folder, threads=1).decode(file):
            check_picture(picture, file.header.width, file.header.height)

    return use


def use_results(replaced: str) -> Callable[[bytes, Path, Path], None]:
    """Report an evaluation in whose folder the file ``replaced`` has another content."""

    def use(content: bytes, seeds: Path, scratch: Path) -> None:
        folder = scratch / "evaluation"
        if not folder.exists():
            shutil.copytree(seeds / "evaluation", folder)
        (folder / replaced).write_bytes(content)
        check_report(content, read_sources([folder]))

    return use


def use_curve(content: bytes, seeds: Path, scratch: Path) -> None:
    (scratch / "curve.json").write_bytes(content)
    check_report(content, read_sources([scratch / "curve.json"]))


def check_report(content: bytes, sources: list[Source]) -> None:
    """Make the tables of the report; and its page, which takes longer, for some of the files."""
    for _, curve, _ in report_curves(sources):
        cells(summarize(curve, None))
    if zlib.crc32(content) % 8 == 0:
        check_page(render(sources, 0))


def check_page(page: str) -> None:
    """The page has the parts that ours has, and no script of a stranger: what it embeds is data."""
    assert page.count("<script") == page.count("</script>") == EMBEDDED
    start = page.index('type="application/json"')
    data = page[page.index(">", start) + 1 : page.index("</script>", start)]
    json.loads(data, parse_constant=lambda constant: AssertionError(constant))


EMBEDDED = 2  # elements with scripts in our page: the data and the program

KINDS = {
    "info": Kind("rnnc/*.rnnc", use_information, mutators.file, 0.62),
    "rnnc": Kind("rnnc/*.rnnc", use_file, mutators.file, 0.12),
    "weights": Kind("weights/*.safetensors", use_weights, mutators.weights, 0.05),
    "model": Kind(f"exported/{MODEL}", use_exported(MODEL), mutators.as_json, 0.08),
    "context": Kind(f"exported/{CONTEXT}", use_exported(CONTEXT), mutators.numbers, 0.02),
    "graph": Kind(f"exported/{DECODER}", use_exported(DECODER), mutators.anything, 0.005),
    "pixels": Kind(f"exported/{onnx_codec.PIXELS}", use_exported(onnx_codec.PIXELS), mutators.anything, 0.005),
    "about": Kind(f"evaluation/{ABOUT}", use_results(ABOUT), mutators.as_json, 0.02),
    "measurements": Kind(f"evaluation/{MEASUREMENTS}", use_results(MEASUREMENTS), mutators.table, 0.04),
    "curve": Kind("evaluation/tiny.json", use_curve, mutators.as_json, 0.04),
}
