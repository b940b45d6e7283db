"""The figures of a trial of a search, while it trains."""

from pathlib import Path
from typing import Any

import lightning as L

from rnncodec.errors import ConfigurationError
from rnncodec.training.search.study import open_study


class ReportTrial(L.Callback):
    """After each validation, reports ``metric`` to the study of a search, and ends the training where the study finds
    that the trial is not worth it. Nothing is done where ``trial`` is None, as in all other runs.

    Args:
        trial: ``{"study": file, "number": n, "direction": …, "startup": …}``, which the search sets.
        metric: the name of a figure of validation; another one cannot be reported while the run trains.
    """

    def __init__(self, trial: dict[str, Any] | None, metric: str) -> None:
        self.trial = dict(trial) if trial else None
        self.metric = metric
        self.pruned = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.trial is None or not self.metric.startswith("val/"):
            return
        value = trainer.callback_metrics.get(self.metric)
        if value is None:
            known = ", ".join(sorted(name for name in trainer.callback_metrics if name.startswith("val/")))
            raise ConfigurationError(f"optimized_metric={self.metric} is not measured; choose from {known}")
        pruned = False
        if trainer.is_global_zero:
            pruned = self.report(trainer.global_step, float(value))
        self.pruned = trainer.strategy.broadcast(pruned)
        trainer.should_stop = trainer.should_stop or self.pruned

    def report(self, step: int, value: float) -> bool:
        """Report ``value`` at ``step``. Whether the trial is to end."""
        assert self.trial is not None
        import optuna

        study = open_study(Path(self.trial["study"]), self.trial["direction"], self.trial["startup"])
        (frozen,) = (each for each in study.get_trials(deepcopy=False) if each.number == self.trial["number"])
        trial = optuna.Trial(study, frozen._trial_id)
        trial.report(value, step)
        return trial.should_prune()
