"""A search for the best options:  python train.py -m +sweep=search

Optuna chooses the options of each trial; the launcher of Hydra trains it, as a job of a sweep. The study is a file in
the folder of the sweep. So a search that was killed goes on, several commands can search together, and a trial can be
pruned by its own process.

Hydra's plugin for Optuna (hydra-optuna-sweeper 1.3) needs an Optuna before 3, and knows neither pruning nor a search
that goes on.
"""

import csv
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from rnncodec.atomic_file import replacing
from rnncodec.errors import ConfigurationError
from rnncodec.terminal import Terminal, log
from rnncodec.training.launch.sweep import given_options, jobs
from rnncodec.training.run.folder import LOCK
from rnncodec.training.run.outcome import read_result, state
from rnncodec.training.search.study import make_sampler, open_study

STUDY, TRIALS, PICTURE = "study.journal", "trials.csv", "importances.png"


class Search:
    """One search, in the folder of its sweep.

    Args:
        trials: how many trials the study has at its end, those of earlier commands included.
        at_once: how many trials are launched together.
        direction: ``minimize`` or ``maximize`` the option ``optimized_metric``.
        startup: this many trials are drawn at random before Optuna learns from them, and before one is pruned.
        params: the options to search in, as in ``{"optimizer.lr": "tag(log, interval(1e-4, 1e-2))"}``.
    """

    def __init__(
        self,
        launcher: Launcher,
        config: DictConfig,
        *,
        trials: int,
        at_once: int,
        direction: Literal["minimize", "maximize"],
        startup: int,
        params: dict[str, str],
    ) -> None:
        self.launcher = launcher
        self.folder = Path(config.hydra.sweep.dir).absolute()
        self.metric = config.optimized_metric
        self.config_name = config.hydra.job.config_name
        self.trials = trials
        self.at_once = at_once
        self.direction = direction
        self.startup = startup
        self.params = params
        if direction not in ("minimize", "maximize"):
            raise ConfigurationError(f"hydra.sweeper.direction must be minimize or maximize, not {direction}")
        self.seed = config.seed
        self.study = open_study(self.folder / STUDY, direction, startup)
        for name, value in (("direction", direction), ("metric", self.metric)):
            before = self.study.user_attrs.get(name, value)
            if before != value:
                raise ConfigurationError(
                    f"{self.folder} holds a search with the {name} {before}, not {value}; choose another folder"
                )
            self.study.set_user_attr(name, value)
        OmegaConf.save(config, self.folder / "multirun.yaml")

    def run(self, arguments: Sequence[str]) -> None:
        """Train trials until there are enough, and say what came out."""
        given = given_options(self.params, arguments).items()
        space = {name: distribution(option) for name, option in given if option.is_sweep_override()}
        fixed = {name: option.get_value_element_as_str() for name, option in given if not option.is_sweep_override()}
        if not space:
            raise ConfigurationError(
                "there is nothing to search: give options a range, as in 'optimizer.lr=interval(1e-4, 1e-2)'"
            )
        self.launch(self.cut_off, fixed)
        while (left := self.trials - len(self.study.get_trials(deepcopy=False))) > 0:
            self.launch(partial(self.new, space, min(left, self.at_once)), fixed)
        self.report(fixed)

    def new(self, space: dict[str, Any], number: int) -> list[Any]:
        """``number`` new trials, with options from ``space``. Each has random numbers of its own, so that a search that
        goes on, or another command, does not repeat those of the first trials.

        Raises:
            ConfigurationError: an option had other values to choose from in the trials so far.
        """
        trials = []
        for _ in range(number):
            seed = (1_000_003 * self.seed + len(self.study.get_trials(deepcopy=False))) % 2**32
            self.study.sampler = make_sampler(self.startup, seed)
            try:
                trials.append(self.study.ask(space))
            except ValueError as error:
                raise ConfigurationError(f"{self.folder} holds a search among other values ({error})") from None
        return trials

    def cut_off(self) -> list[Any]:
        """The trials that a killed command has left. A trial that another command trains, or has in its queue, is none
        of them."""
        import optuna

        found = []
        for trial in self.study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            folders = [folder for folder in jobs(self.folder) if folder.name.partition("-")[0] == str(trial.number)]
            if not any(map(is_locked, [*folders, self.queue(trial.number)])):
                found.append(optuna.Trial(self.study, trial._trial_id))
        return found

    def queue(self, number: int) -> Path:
        """The folder whose lock a command holds while the trial is its own, from the queue to its end."""
        return self.folder / ".queue" / str(number)

    def launch(self, draw: Callable[[], Sequence[Any]], fixed: dict[str, str]) -> None:
        """Train the trials that ``draw`` gives, and tell the study how they ended. Until then no other command takes
        them for those of a killed one."""
        with ExitStack() as queue:
            with FileLock(self.folder / ".queue.lock"):  # so that none is looked for between its draw and its lock
                trials = draw()
                for trial in trials:
                    self.queue(trial.number).mkdir(parents=True, exist_ok=True)
                    queue.enter_context(FileLock(self.queue(trial.number) / LOCK, timeout=0))
            self.train(trials, fixed)

    def train(self, trials: Sequence[Any], fixed: dict[str, str]) -> None:
        for together in consecutive(trials):
            overrides = [
                [
                    *(f"{name}={value}" for name, value in (trial.params | fixed).items()),
                    f"trial={{study:'{self.folder / STUDY}',number:{trial.number},"
                    f"direction:{self.direction},startup:{self.startup}}}",
                ]
                for trial in together
            ]
            returns = self.launcher.launch(overrides, initial_job_idx=together[0].number)
            for trial, job in zip(together, returns, strict=True):
                assert job.hydra_cfg is not None
                self.tell(trial, Path(job.hydra_cfg.hydra.runtime.output_dir))

    def tell(self, trial: Any, folder: Path) -> None:
        """Tell the study how the trial in ``folder`` ended."""
        import optuna

        result = read_result(folder)
        if result is None:
            log.print(f"trial {trial.number}: {' '.join(state(folder))}", soft_wrap=True, markup=False)
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif result["pruned"]:
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif self.metric in result["metrics"]:
            self.study.tell(trial, result["metrics"][self.metric])
        else:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            states = [each.state for each in self.study.trials]
            # A rate at a quality that the files do not reach is left out of the metrics of a trial.
            evaluated = self.metric.startswith("eval/") and any(name.startswith("eval/") for name in result["metrics"])
            first = evaluated and len(states) < self.startup
            if not first and optuna.trial.TrialState.COMPLETE not in states:
                known = ", ".join(sorted(result["metrics"]))
                raise ConfigurationError(f"optimized_metric={self.metric} is not measured; choose from {known}")
            log.print(f"trial {trial.number}: {self.metric} was not reached", soft_wrap=True, markup=False)

    def report(self, fixed: dict[str, str]) -> None:
        """Print a table of the trials and the command line of the best, and write trials.csv and importances.png."""
        import optuna

        complete = [trial for trial in self.study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
        if not complete:
            raise ConfigurationError(f"no trial in {self.folder} has ended with a figure")
        trials = sorted(
            self.study.trials,
            key=lambda trial: (
                trial.state != optuna.trial.TrialState.COMPLETE,
                (trial.value or 0.0) * (1 if self.direction == "minimize" else -1),
            ),
        )
        names = sorted({name for trial in trials for name in trial.params})
        rows = [
            [str(trial.number), trial.state.name.lower(), "" if trial.value is None else f"{trial.value:.5f}"]
            + [shown(trial.params.get(name, "")) for name in names]
            for trial in trials
        ]
        heading = ["trial", "state", self.metric, *names]
        with replacing(self.folder / TRIALS) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows([heading, *rows])
        table = Table(*heading, title=f"{len(trials)} trials, the best first")
        for row in rows:
            table.add_row(*row)
        console = Terminal()
        console.print(table)
        others = {name: value for name, value in fixed.items() if name not in ("sweep", "+sweep")}
        best = [f"{name}={value}" for name, value in (self.study.best_trial.params | others).items()]
        if self.config_name != "train":
            best = [f"--config-name={self.config_name}", *best]
        console.print(f"Best:    python train.py {shlex.join(best)}", soft_wrap=True, highlight=False)
        console.print(f"Trials:  {self.folder / TRIALS}", soft_wrap=True, highlight=False)
        if len(complete) > 3 and len(names) > 1:
            self.draw()
            console.print(f"Picture: {self.folder / PICTURE}", soft_wrap=True, highlight=False)

    def draw(self) -> None:
        """Write importances.png: how much of the differences between trials each option explains (PED-ANOVA)."""
        import optuna

        axes = optuna.visualization.matplotlib.plot_param_importances(
            self.study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
        axes.set_title(f"What mattered for {self.metric}", loc="left")
        if (legend := axes.get_legend()) is not None:
            legend.remove()
        with replacing(self.folder / PICTURE) as temporary:
            figure = axes.get_figure(root=True)
            assert figure is not None
            figure.savefig(temporary, format="png", bbox_inches="tight", dpi=120)


def distribution(override: Override) -> Any:
    """Where Optuna may choose the value of an option: among those of ``a,b,c``, in a ``range`` or in an ``interval``,
    which ``tag(log, …)`` divides evenly on a logarithmic scale. ``int(interval(…))`` is of whole numbers."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        if isinstance(value.start, int) and isinstance(value.end, int):
            return IntDistribution(value.start, value.end, log="log" in value.tags)
        return FloatDistribution(value.start, value.end, log="log" in value.tags)
    if isinstance(value, RangeSweep) and isinstance(value.start, int) and isinstance(value.step, int):
        assert value.stop is not None
        return IntDistribution(value.start, int(value.stop) - 1, step=value.step)
    return CategoricalDistribution([str(each) for each in override.sweep_iterator(transformer=Transformer.encode)])


def consecutive(trials: Sequence[Any]) -> Iterator[list[Any]]:
    """The ``trials`` in groups whose numbers follow each other, because a launcher counts its jobs."""
    group: list[Any] = []
    for trial in trials:
        if group and trial.number != group[-1].number + 1:
            yield group
            group = []
        group.append(trial)
    if group:
        yield group


def shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def is_locked(folder: Path) -> bool:
    """Whether a process trains the run in ``folder``."""
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
