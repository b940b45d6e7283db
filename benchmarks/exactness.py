"""Checks that two environments (machines, versions, instructions) compute the same. Run it in one, then in the other.

python benchmarks/exactness.py --write FOLDER path/to/kodak/kodim0*.png
python benchmarks/exactness.py --check FOLDER

It compares the probabilities and the payload of each layer under the packaged context model, for random codes and for
the codes of the images: all must be the same. The decoded pictures may differ. If torch is installed, which nothing
else here needs, it measures by how much.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from safetensors import safe_open

from rnncodec.entropy.contexts import context_config, context_model
from rnncodec.entropy.interface import Codes, ContextModel, replay
from rnncodec.entropy.layer_coder import LayerCoder
from rnncodec.fileformat import bitstream
from rnncodec.pictures.pixels import Pixels, read_pixels
from rnncodec.weights.released import DEFAULT_MODEL, released_models

LAYERS = 4
SIZES = [(1, 1), (5, 9), (32, 48)]  # rows and columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="FOLDER", help="compute here, for a later --check")
    action.add_argument("--check", type=Path, metavar="FOLDER", help="compute again and compare")
    parser.add_argument("images", nargs="*", type=Path, help="for --write; kept in the folder as files and pictures")
    options = parser.parse_args()
    if options.write:
        write(options.write, options.images)
    else:
        sys.exit(check(options.check))


def write(folder: Path, images: list[Path]) -> None:
    """Leave what `check` needs in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in images:
        from rnncodec.coding.torch_codec import load_torch_codec

        data = load_torch_codec(DEFAULT_MODEL).compress(read_pixels(path))
        (folder / path.with_suffix(".rnnc").name).write_bytes(data)
        np.save(folder / path.with_suffix(".npy").name, decoded(data))
    found = digests(folder)
    manifest = {"environment": environment(), "digests": found}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    print(f"{folder}: {len(found)} layers")


def check(folder: Path) -> int:
    """Print what differs from what `write` found; 1 where any layer does, else 0."""
    manifest = json.loads((folder / "manifest.json").read_text())
    here, found = environment(), digests(folder)
    print("| | then | now |\n| --- | --- | --- |")
    for name, then in manifest["environment"].items():
        print(f"| {name} | {then} | {here[name]} |")
    differing = [name for name, digest in manifest["digests"].items() if found[name] != digest]
    print(f"\n{len(found)} layers: " + (f"DIFFERENT: {', '.join(differing)}" if differing else "all the same"))
    if here["torch"] is not None:
        for path in sorted(folder.glob("*.rnnc")):
            difference = np.abs(decoded(path.read_bytes()) - np.load(path.with_suffix(".npy")).astype(np.int64))
            print(f"{path.stem}: pixels differ by {difference.max()} of 255 at most, {np.mean(difference > 0):.2%} do")
    return int(bool(differing))


def environment() -> dict[str, str | None]:
    """The versions and settings that may make a difference."""
    found: dict[str, str | None] = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("numpy", "constriction", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    found["BLAS"] = " ".join(
        np.show_config(mode="dicts")["Build Dependencies"]["blas"][key] for key in ("name", "version")
    )
    for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        found[variable] = os.environ.get(variable)
    return found


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each layer's probabilities and payload. Raises AssertionError where it decodes to other codes."""
    context = load_context(released_models()[DEFAULT_MODEL])
    found = {}
    pictures: dict[str, Iterable[Codes]] = {**made_codes(context.config.bits), **stored_codes(folder, context)}
    for name, picture in pictures.items():
        encoder, decoder, own = LayerCoder(context), LayerCoder(context), context.start()
        for t, codes in enumerate(picture):
            payload = encoder.encode(codes)
            assert np.array_equal(decoder.decode(payload, codes.shape), codes), f"{name}, layer {t + 1}"
            digest = hashlib.sha256(payload)
            bits = (codes.ravel() > 0).astype(np.uint8)
            for _, frequencies in replay(own.groups(*codes.shape[1:]), bits):  # also where raw bits won
                digest.update(frequencies.astype("<i8").tobytes())
            own.remember(codes)
            found[f"{name}, layer {t + 1}"] = digest.hexdigest()
    return found


def made_codes(bits: int) -> dict[str, Iterable[Codes]]:
    """Codes ``[LAYERS, bits, h, w]`` by name, made of whole numbers and SHAKE-256 alone: the same anywhere."""
    made: dict[str, Iterable[Codes]] = {}
    for height, width in SIZES:
        shape = (LAYERS, bits, height, width)
        t, c, y, x = np.indices(shape)
        kinds = {
            "all +1": np.ones(shape, bool),
            "waves": (3 * y * y + x * x + 5 * x * y) // (7 + c) % 2 == t % 2,
            "random 1": random_bits(1, shape),
            "random 2": random_bits(2, shape),
            "rarely +1": random_bits(3, shape) & random_bits(4, shape) & random_bits(5, shape),
        }
        made |= {f"{name}, {height}×{width}": np.where(ones, 1, -1).astype(np.int8) for name, ones in kinds.items()}
    return made


def random_bits(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """The same anywhere, as numpy's generators need not be."""
    count = int(np.prod(shape))
    stream = hashlib.shake_256(bytes([seed])).digest(-(-count // 8))
    return np.unpackbits(np.frombuffer(stream, np.uint8), count=count).reshape(shape) > 0


def stored_codes(folder: Path, context: ContextModel) -> dict[str, list[Codes]]:
    """Those in the files of ``folder``."""
    found = {}
    for path in sorted(folder.glob("*.rnnc")):
        file = bitstream.read(path.read_bytes())
        coder = LayerCoder(context)
        found[path.stem] = [coder.decode(payload, file.header.shape) for payload in file.layers]
    return found


def decoded(data: bytes) -> Pixels:
    """The picture in a file; this alone needs torch."""
    from rnncodec.api import decompress

    return np.asarray(decompress(data))


def load_context(path: Path) -> ContextModel:
    """The context model of a weights file, without torch."""
    with safe_open(path, framework="np") as file:
        options = json.loads(file.metadata()["context"])
        names = [name for name in file.keys() if name.startswith("context.")]  # noqa: SIM118 (no mapping)
        tensors = {name.removeprefix("context."): file.get_tensor(name) for name in names}
    return context_model(context_config(options), tensors)


if __name__ == "__main__":
    main()
