"""An Optuna study on disk, which several processes share: the one that searches, and those that train its trials."""

import warnings
from pathlib import Path
from typing import Any, Literal

from rnncodec.errors import extra

NAME = "search"


def open_study(path: Path, direction: Literal["minimize", "maximize"], startup: int) -> Any:
    """The ``optuna.Study`` in the file ``path``, made if there is none. Trials are pruned whose last figure is worse
    than the median of the others at that step, once ``startup`` trials are done.

    The file is a journal: processes append to it, one at a time, also on the file system of a cluster.

    Raises:
        ConfigurationError: Optuna is not installed.
    """
    with extra("cluster", "a search"):
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    path.parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        study_name=NAME,
        storage=JournalStorage(JournalFileBackend(str(path))),
        direction=direction,
        load_if_exists=True,
        sampler=make_sampler(startup),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=startup, n_warmup_steps=0),
    )


def make_sampler(startup: int, seed: int | None = None) -> Any:
    """What chooses the options of a trial: at random for the first ``startup``, then by Optuna's TPE."""
    import optuna

    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup, constant_liar=True)
