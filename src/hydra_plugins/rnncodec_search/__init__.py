"""Hydra finds sweepers in the package hydra_plugins alone. It imports this at each start, so that nothing is imported
here that takes time."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSearch(Sweeper):
    """Searches for the best options with Optuna; see `rnncodec.training.search.search`."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra.core.plugins import Plugins

        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from rnncodec.training.launch.hydra_start import errors_in_one_line
        from rnncodec.training.search.search import Search

        assert self.launcher is not None
        assert self.config is not None
        with errors_in_one_line():
            Search(self.launcher, self.config, **self.options).run(arguments)
