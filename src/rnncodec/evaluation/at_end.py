"""A small evaluation at the end of a run, so that the runs of a sweep can be compared at once."""

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import lightning as L
from PIL import Image
from torch import Tensor

from rnncodec.data.datamodule import PatchDataModule
from rnncodec.data.eight_bits import to_eight_bits
from rnncodec.evaluation.measurement import EvaluationOptions, evaluate
from rnncodec.evaluation.tracking import log_evaluation, scalars
from rnncodec.training.loggers import RunLogger


class EvaluateAtEnd(L.Callback):
    """When training ends, measures the exported weights, and JPEG, on the first ``photos`` validation pictures. The
    results are in ``folder/evaluations/validation``, and in W&B under ``eval/validation/…``. It must come after the
    callback that exports the weights."""

    def __init__(self, folder: str, photos: int, enabled: bool = True) -> None:
        self.folder = Path(folder)
        self.photos = photos
        self.enabled = enabled
        self.figures: dict[str, float] = {}  # of the evaluation, when it is done

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not (self.enabled and trainer.is_global_zero):
            return
        results = self.folder / "evaluations" / "validation"
        shutil.rmtree(results, ignore_errors=True)  # the results of earlier weights, if a finished run was resumed
        evaluation = evaluate(
            EvaluationOptions(
                model=str(self.folder),
                images=self._save_pictures(trainer, results / "photos"),
                dataset="validation",
                name=self.folder.resolve().name,
                iterations=None,
                baselines=("jpeg",),
                anchors=None,
                compare_to="jpeg",
                workers=1,
                device="cpu",
            ),
            results,
            lambda done, total, complaint: None,
        )
        self.figures = scalars(evaluation)
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                log_evaluation(logger, evaluation)

    def _save_pictures(self, trainer: L.Trainer, folder: Path) -> list[Path]:
        """The first validation pictures as image files in ``folder``."""
        folder.mkdir(parents=True)
        paths = []
        for index, picture in enumerate(islice(pictures(trainer.datamodule), self.photos)):  # type: ignore[attr-defined]
            paths.append(folder / f"{index:02d}.png")
            Image.fromarray(picture.permute(1, 2, 0).numpy()).save(paths[-1])
        return paths


def pictures(data: L.LightningDataModule) -> Iterator[Tensor]:
    """The validation pictures of all ranks, uint8 ``[3, H, W]``; of a data module of another package, those in the
    batches of this rank."""
    if isinstance(data, PatchDataModule):
        yield from data.val_crops()
        return
    for batch in data.val_dataloader():
        images = data.on_after_batch_transfer(data.on_before_batch_transfer(batch, 0), 0)
        yield from to_eight_bits(images).cpu()
