"""The checkpoints of a run: how they are written, and which one a resumed run goes on from."""

import pickle
import zipfile
from pathlib import Path
from typing import Any, cast

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from rnncodec.atomic_file import replacing
from rnncodec.errors import OutputError, TrainingError
from rnncodec.terminal import log


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes each checkpoint beside the one that it replaces, which stays whole if the disk is full. Lightning's own
    writes into the folder of temporary files, and copies from there."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Raises OutputError if the file cannot be written."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        try:
            with replacing(path) as temporary:
                torch.save(checkpoint, temporary)
        except (OSError, RuntimeError) as error:  # torch's own error where the disk is full is a RuntimeError
            raise OutputError(
                f"{path} cannot be written, and stays as it was: {str(error).splitlines()[0]}; is the disk full?"
            ) from None


def remove_parts(folder: Path) -> None:
    """Remove what processes that were killed have left of checkpoints in ``folder``."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def newest(folder: Path, quiet: bool = False) -> Path | None:
    """The checkpoint in ``folder`` with the most training steps, or None if there is none.

    Files that are damaged, or that hold more than tensors and plain values, are passed over, and named on the terminal
    unless ``quiet``. Of files with equally many steps, ``last.ckpt`` is taken.

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
    if damaged and not quiet:
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
        return int(without_values(path)["global_step"])
    except (OSError, EOFError, RuntimeError, ValueError, TypeError, LookupError, zipfile.BadZipFile):
        return None
    except pickle.UnpicklingError:  # torch's, for an object that is neither a tensor nor a plain value
        return None


def without_values(path: Path) -> dict[str, Any]:
    """The checkpoint at ``path``, with the shapes of its tensors alone."""
    return cast(dict[str, Any], torch.load(path, map_location="meta", mmap=True, weights_only=True))


def names(paths: list[Path]) -> str:
    """The file names of ``paths``, with commas between them."""
    return ", ".join(path.name for path in paths)
