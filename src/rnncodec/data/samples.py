"""Sample photos that need no download: those in the scikit-image package, written as shards on first use."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from filelock import FileLock

from rnncodec.data.datamodule import PatchDataModule
from rnncodec.data.shards import MANIFEST, write_shards

TRAIN = (
    "astronaut.png",
    "chelsea.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "retina.jpg",
    "rocket.jpg",
)
VAL = ("coffee.png",)
PHOTOS = {"train": TRAIN, "val": VAL}


def sample_shards(folder: str | Path) -> tuple[str, str]:
    """The folders of the training and the validation shards under ``folder``. They are written if they do not exist, by
    one process alone; others that need them wait."""
    if not all((Path(folder) / name / MANIFEST).exists() for name in PHOTOS):
        source = Path(str(files("skimage") / "data"))
        Path(folder).mkdir(parents=True, exist_ok=True)
        with FileLock(Path(folder) / ".lock"):
            for name, photos in PHOTOS.items():
                if not (out := Path(folder) / name).joinpath(MANIFEST).exists():
                    write_shards([str(source / photo) for photo in photos], out, name=name)
    return str(Path(folder) / "train"), str(Path(folder) / "val")


def sample_photos(folder: str | Path, **options: Any) -> PatchDataModule:
    """The data module of the sample photos; ``options`` are the options of `PatchDataModule`."""
    train, val = sample_shards(folder)
    return PatchDataModule(train, val, **options)
