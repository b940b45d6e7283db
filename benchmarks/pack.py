"""Packs what a training run needs on a machine without a network connection into one folder of limited size.

python benchmarks/pack.py pack --train data/train --val data/val --images path/to/kodak --mib 40
python benchmarks/pack.py pack … --weights outputs/runs/…/weights.safetensors

The folder holds wheels/, train/, val/, images/ and weights.safetensors; benchmarks/half_hour.py trains from it. Wheels
are those of the packages that a machine with PyTorch and Lightning is likely to lack.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from rnncodec.pictures.pixels import find_images

CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"
PACKAGES = ("bjontegaard", "braceexpand", "constriction", "hydra-core", "omegaconf", "python-dotenv", "webdataset")
FROM_SOURCE = ("antlr4-python3-runtime",)  # of no platform, but published without a wheel
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def fetch_wheels(folder: Path, python: str) -> None:
    """The wheels of PACKAGES and FROM_SOURCE for ``python`` on x86-64 Linux, at the versions of constraints.txt."""
    pip = [sys.executable, "-m", "pip", "--quiet"]
    common = ["--no-deps", "--constraint", str(CONSTRAINTS)]
    platforms = [f"--platform={platform}" for platform in PLATFORMS]
    binary = ["--only-binary=:all:", f"--python-version={python}", *platforms]
    subprocess.run([*pip, "download", *common, *binary, "--dest", str(folder), *PACKAGES], check=True)
    subprocess.run([*pip, "wheel", *common, "--wheel-dir", str(folder), *FROM_SOURCE], check=True)


def pack(folder: Path, train: Path, val: Path, images: Iterable[Path], weights: Path | None, limit: int) -> None:
    """Copy into ``folder`` the shards of ``val``, ``images``, ``weights``, and as many shards of ``train`` as leave it
    at most ``limit`` bytes.

    Raises:
        ValueError: not one shard of ``train`` fits.
    """
    copy(sorted(val.glob("*.tar")), folder / "val")
    copy(images, folder / "images")
    if weights is not None:
        shutil.copyfile(weights, folder / "weights.safetensors")
    left = limit - size(folder)
    for number, shard in enumerate(sorted(train.glob("*.tar"))):
        left -= shard.stat().st_size
        if left < 0:
            if number == 0:
                raise ValueError(f"{folder}: no room for {shard} in {limit:,} bytes; {-left:,} too many")
            return
        copy([shard], folder / "train")


def copy(files: Iterable[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)


def size(folder: Path) -> int:
    """Bytes of all files in ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new one")
    parser.add_argument("--train", type=Path, required=True, help="a folder of shards")
    parser.add_argument("--val", type=Path, required=True, help="a folder of shards")
    parser.add_argument("--images", type=Path, required=True, help="a folder of images to measure at the end")
    parser.add_argument("--photos", type=int, default=4, help="how many of them")
    parser.add_argument("--weights", type=Path, help="to start from")
    parser.add_argument("--python", default="3.12", help="of the machine")
    parser.add_argument("--mib", type=float, required=True, help="the largest size of the folder, wheels included")
    options = parser.parse_args()
    images = find_images(options.images)[: options.photos]
    options.folder.mkdir(parents=True)
    fetch_wheels(options.folder / "wheels", options.python)
    try:
        pack(options.folder, options.train, options.val, images, options.weights, int(options.mib * 2**20))
    except ValueError as error:
        parser.exit(1, f"{error}\n")
    for path in sorted(path for path in options.folder.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size:>12,}  {path.relative_to(options.folder)}")
    print(f"{size(options.folder):>12,}  together")


if __name__ == "__main__":
    main()
