"""A small evaluation at the end of a run, so that the runs of a sweep can be compared at once."""

import shutil
from pathlib import Path

import lightning as L
from PIL import Image

from rnncodec.data.datamodule import PatchDataModule
from rnncodec.evaluation.measurement import Options, evaluate
from rnncodec.evaluation.tracking import log_evaluation, scalars
from rnncodec.training.loggers import RunLogger


class EvaluateAtEnd(L.Callback):
    """When training ends, measures the exported weights, and JPEG, on the first ``photos`` validation crops. The
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
            Options(
                model=str(self.folder),
                images=self._save_crops(trainer, results / "photos"),
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

    def _save_crops(self, trainer: L.Trainer, folder: Path) -> list[Path]:
        """The first validation crops as image files in ``folder``."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, PatchDataModule)
        folder.mkdir(parents=True)
        paths = []
        for index, crop in enumerate(data.val_crops()[: self.photos]):
            paths.append(folder / f"{index:02d}.png")
            Image.fromarray(crop.permute(1, 2, 0).numpy()).save(paths[-1])
        return paths
