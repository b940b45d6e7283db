"""A sweep: its jobs are taken up again where they were, and a table at its end says how each ended."""

import atexit
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.markup import escape
from rich.table import Table

import rnncodec.training.run.resolvers  # noqa: F401 (launchers' processes import this before they read the config)
from rnncodec.cores import warn_of_few_cores
from rnncodec.errors import ConfigurationError
from rnncodec.terminal import Terminal
from rnncodec.training.launch.sweep_results import results_table
from rnncodec.training.process.hangup import outlive_terminal
from rnncodec.training.process.interruption import leave_signals_to_jobs, stop_between_jobs
from rnncodec.training.run.folder import holds_run
from rnncodec.training.run.older_options import UNNAMED
from rnncodec.training.run.options import single_options
from rnncodec.training.run.outcome import read_result, state
from rnncodec.training.run.saved_config import load_config, resolved

# Options in which a job's saved config may differ from the sweep's: they follow from the machine, or from how it was
# started.
OWN = (
    "run_id", "folder", "outputs", "resume", "trainer.accelerator", "trainer.precision", "trainer.devices",
    "trainer.num_nodes", "codec_identity", "resources.cores", "resources.gpus", "logger.project", "logger.entity",
)  # fmt: skip
# What Hydra names jobs by, ``override_dirname``, leaves out the options that this names.
EXCLUDED = "hydra.job.config.override_dirname.exclude_keys"


class SweepTable(Callback):
    """At the end of a multirun, however it ends, prints the state of each job, why jobs failed, the results of those
    that are finished, and how to go on. A signal stops the jobs that run on this machine, and then the multirun. Where
    submitit or Ray runs the jobs, apart from the terminal, the multirun goes on when that closes."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        tell_jobs_what_is_swept(config)
        folder = Path(config.hydra.sweep.dir)
        outlive_terminal(folder)
        launcher = config.hydra.launcher._target_
        if "joblib" in launcher:
            warn_of_few_cores(config.hydra.launcher.n_jobs, f"hydra.launcher.n_jobs={config.hydra.launcher.n_jobs}")
            leave_signals_to_jobs()
        elif "BasicLauncher" in launcher:
            stop_between_jobs()
        else:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        atexit.register(print_table, folder)


def tell_jobs_what_is_swept(config: DictConfig) -> None:
    """Give the jobs of a multirun, in whichever process a launcher starts them, the names of the options that are the
    same in all of them, as the ``exclude_keys`` of Hydra's ``override_dirname``. The names of jobs leave these out."""
    hydra = cast(dict[str, Any], OmegaConf.to_container(config.hydra))
    given = given_options(hydra.get("sweeper", {}).get("params") or {}, hydra["overrides"]["task"])
    same = [option.key_or_group for option in given.values() if not option.is_sweep_override()]
    keys = ",".join([*hydra["job"]["config"]["override_dirname"]["exclude_keys"], *same])
    config.hydra.overrides.hydra.append(f"{EXCLUDED}=[{keys}]")


def given_options(params: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Override]:
    """The options of a multirun by their names: the ``params`` of its sweeper, and before these the ``arguments`` of
    the command line."""
    given = [*(f"{name}={value}" for name, value in params.items()), *arguments]
    return {option.get_key_element(): option for option in OverridesParser.create().parse_overrides(given)}


def print_table(sweep: Path) -> None:
    """Print the state of each job in the folder ``sweep``."""
    if not sweep.is_dir():
        return  # the multirun was refused before it had a folder
    states = {folder: state(folder) for folder in jobs(sweep)}
    if not states:
        return
    table = Table(title="1 job" if len(states) == 1 else f"{len(states)} jobs")
    for heading in ("job", "state", ""):
        table.add_column(heading, overflow="fold")
    for folder, (kind, detail) in states.items():
        if kind != "failed" and (result := read_result(folder)):
            detail = f"step {result['steps']}"
        table.add_row(escape(folder.name), kind, escape(detail))
    console = Terminal()
    console.print(table)
    results = results_table({folder: saved_options(folder) for folder in states if holds_run(folder)})
    if results is not None:
        console.print(results)
    console.print(f"Sweep:   {sweep}", soft_wrap=True, highlight=False)
    if any(kind not in ("finished", "pruned") for kind, _ in states.values()):
        console.print(
            f"Go on:   the same command with  hydra.sweep.dir={sweep}  runs what is not finished",
            soft_wrap=True,
            highlight=False,
        )
    if any(kind == "finished" for kind, _ in states.values()):
        console.print(f"Compare: rnncodec report {sweep} -o report.html", soft_wrap=True, highlight=False)


def jobs(sweep: Path) -> list[Path]:
    """The folders of the jobs in the folder ``sweep``, in the order of their numbers."""
    folders = [path for path in sweep.iterdir() if path.is_dir() and path.name.partition("-")[0].isdigit()]
    return sorted(folders, key=lambda path: int(path.name.partition("-")[0]))


def check_same(config: DictConfig, folder: Path) -> None:
    """Check that the run in ``folder`` has the options of ``config``, so that it can be taken up in its place. Options
    that are ``auto`` may have had other values on another machine.

    Raises:
        ConfigurationError: names the options that are different.
    """
    unnamed = single_options(UNNAMED)
    asked, saved = unnamed | single_options(resolved(config)), unnamed | saved_options(folder)
    different = [
        name
        for name in sorted(asked.keys() | saved.keys())
        if name not in OWN
        and asked.get(name) != saved.get(name)
        and "auto" not in (asked.get(name), saved.get(name))
        and not (name == "iterations" and asked.get(name) is None)  # a context model has as many as its codec
    ]
    if different:
        raise ConfigurationError(
            f"{folder} holds a run with other options: {', '.join(different)}; choose another folder, or go on with "
            f"that run by resume={folder}"
        )


def saved_options(folder: Path) -> dict[str, Any]:
    """The single options of the run in ``folder``."""
    return single_options(resolved(load_config(folder)))
