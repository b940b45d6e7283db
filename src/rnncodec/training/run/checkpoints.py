"""The checkpoint that a resumed run goes on from."""

import pickle
import zipfile
from pathlib import Path

import torch

from rnncodec.errors import TrainingError
from rnncodec.terminal import log


def newest(folder: Path) -> Path | None:
    """The checkpoint in ``folder`` with the most training steps, or None if there is none.

    Files that are damaged, or that hold more than tensors and plain values, are named on the terminal and passed over.
    Of files with equally many steps, ``last.ckpt`` is taken.

    Raises:
        TrainingError: there are checkpoints, but none that can be read.
    """
    paths = sorted(folder.glob("*.ckpt"))
    steps = {path: steps_in(path) for path in paths}
    whole = {path: count for path, count in steps.items() if count is not None}
    damaged = [path for path in paths if path not in whole]
    if damaged and not whole:
        raise TrainingError(
            f"the run cannot go on, for every checkpoint in {folder} is damaged, or holds more than tensors and plain "
            f"values, and could run code: {names(damaged)}"
        )
    if not whole:
        return None
    best = max(whole, key=lambda path: (whole[path], path.name == "last.ckpt", path.name))
    if damaged:
        message = (
            f"damaged in {folder}, or more than tensors and plain values: {names(damaged)}; training goes on from "
            f"{best.name}, after step {whole[best]}"
        )
        log.print(message, soft_wrap=True, markup=False)
    return best


def steps_in(path: Path) -> int | None:
    """The steps trained before the checkpoint at ``path`` was saved, or None where the file is damaged, or holds
    objects whose classes could run code."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # finds the first part of the file whose checksum is wrong
                return None
        return int(torch.load(path, map_location="meta", mmap=True, weights_only=True)["global_step"])
    except (OSError, EOFError, RuntimeError, ValueError, TypeError, LookupError, zipfile.BadZipFile):
        return None
    except pickle.UnpicklingError:  # torch's, for an object that is neither a tensor nor a plain value
        return None


def names(paths: list[Path]) -> str:
    """The file names of ``paths``, with commas between them."""
    return ", ".join(path.name for path in paths)
