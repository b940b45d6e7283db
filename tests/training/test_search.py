"""The search for the best options, with a launcher that computes a figure in place of training, and with a real one."""

import csv
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf
from optuna.distributions import IntDistribution
from PIL import Image

from rnncodec.errors import ConfigurationError
from rnncodec.training.run.checks import RANGES
from rnncodec.training.run.folder import CHECKPOINTS
from rnncodec.training.run.outcome import read_result, write_failure, write_result
from rnncodec.training.search.search import PICTURE, STUDY, TRIALS, Search, distribution
from rnncodec.training.search.study import open_study
from tests.training.test_runs import ROOT, Trainer
from tests.training.test_sweeps import SWEPT, has_checkpoint, wait_for

PARAMS = {"optimizer.lr": "tag(log, interval(1e-4, 1e-1))", "model.bits": "range(1, 9)", "loss": "l1,l2"}


class Objective:
    """In place of a launcher: a job's figure is computed from its options. Those with three bits fail, and those with
    four are pruned."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.launched: list[int] = []

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        returns = []
        for number, overrides in enumerate(jobs, start=initial_job_idx):
            options = dict(override.split("=", 1) for override in overrides)
            folder = self.folder / f"{number}-trial"
            folder.mkdir()
            self.launched.append(number)
            bits = int(options["model.bits"])
            figure = float(options["optimizer.lr"]) + (bits - 5) ** 2 + (options["loss"] == "l2")
            if bits == 3:
                write_failure(folder, "out of memory")
            else:
                write_result(folder, 10, {"val/loss": figure}, pruned=bits == 4)
            returns.append(JobReturn(hydra_cfg=OmegaConf.create({"hydra": {"runtime": {"output_dir": str(folder)}}})))
        return returns


def search(folder: Path, launcher: Any, **options: Any) -> Search:
    hydra = {"sweep": {"dir": str(folder)}, "job": {"config_name": "train"}}
    config = OmegaConf.create({"hydra": hydra, "optimized_metric": "val/loss", "seed": 0})
    chosen = {"trials": 30, "at_once": 3, "direction": "minimize", "startup": 8, "params": PARAMS} | options
    return Search(launcher, config, **chosen)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / TRIALS).open(newline="") as file:
        return list(csv.DictReader(file))


def test_search_ends_with_a_table_the_best_options_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(tmp_path, Objective(tmp_path)).run(["+sweep=search", "iterations=4"])
    table = rows(tmp_path)
    assert sorted(int(row["trial"]) for row in table) == list(range(30))
    assert {row["state"] for row in table} <= {"complete", "pruned", "fail"}
    figures = [float(row["val/loss"]) for row in table if row["state"] == "complete"]
    assert figures == sorted(figures)
    best = table[0]
    assert (best["model.bits"], best["loss"]) == ("5", "l1")  # of 16 combinations
    printed = capsys.readouterr().out
    assert "30 trials" in printed
    (command,) = re.findall(r"Best: +python train\.py (.*)", printed)
    options = dict(option.split("=") for option in command.split())
    assert options.keys() == {*PARAMS, "iterations"}
    assert (options["model.bits"], options["loss"], options["iterations"]) == ("5", "l1", "4")
    assert float(options["optimizer.lr"]) == pytest.approx(float(best["optimizer.lr"]), rel=1e-3)
    with Image.open(tmp_path / PICTURE) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 100


def test_search_goes_on_to_the_number_of_trials_that_is_asked_for(tmp_path: Path) -> None:
    search(tmp_path, Objective(tmp_path), trials=4).run([])
    second = Objective(tmp_path)
    search(tmp_path, second, trials=6).run([])
    assert second.launched == [4, 5]
    table = rows(tmp_path)
    assert len({row["optimizer.lr"] for row in table}) == len(table) == 6  # none is a copy of an earlier one


class Reaching(Objective):
    """The second trial does not reach the figure."""

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        returns = super().launch(jobs, initial_job_idx)
        write_result(self.folder / "1-trial", 10, {"val/psnr": 20.0}, pruned=False)
        return returns


def test_a_trial_that_does_not_reach_the_figure_does_not_end_the_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(tmp_path, Reaching(tmp_path), trials=3, params=PARAMS | {"model.bits": "5,6"}).run([])
    assert [row["state"] for row in rows(tmp_path)].count("complete") == 2
    assert "trial 1: val/loss was not reached" in capsys.readouterr().err


def test_a_search_goes_on_with_the_same_aim_alone(tmp_path: Path) -> None:
    search(tmp_path, Objective(tmp_path), trials=3, params=PARAMS | {"model.bits": "5,6"}).run([])
    with pytest.raises(ConfigurationError, match="holds a search with the direction minimize, not maximize"):
        search(tmp_path, Objective(tmp_path), direction="maximize")
    with pytest.raises(ConfigurationError, match="holds a search among other values"):
        search(tmp_path, Objective(tmp_path), trials=4, params=PARAMS | {"model.bits": "5,7"}).run([])


class WithSecond(Objective):
    """Starts a second command in the middle of the first launch, which then ends by Ctrl-C if ``killed``."""

    def __init__(self, folder: Path, second: Objective, killed: bool) -> None:
        super().__init__(folder)
        self.second, self.killed = second, killed

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        if self.killed:
            raise KeyboardInterrupt
        if not self.second.launched:
            search(self.folder, self.second, trials=5).run([])
        return super().launch(jobs, initial_job_idx)


def test_queued_trials_are_not_taken_for_dead_ones_by_a_second_command(tmp_path: Path) -> None:
    second = Objective(tmp_path)
    first = WithSecond(tmp_path, second, killed=False)
    search(tmp_path, first, trials=5).run([])
    assert (first.launched, second.launched) == ([0, 1, 2], [3, 4])


def test_trials_in_the_queue_of_a_command_that_has_ended_are_taken_up(tmp_path: Path) -> None:
    second = Objective(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, WithSecond(tmp_path, second, killed=True), trials=5).run([])
    search(tmp_path, second, trials=5).run([])
    assert second.launched == [0, 1, 2, 3, 4]


def test_option_that_is_fixed_on_the_command_line_is_not_searched(tmp_path: Path) -> None:
    search(tmp_path, Objective(tmp_path), trials=4).run(["model.bits=5"])
    assert "model.bits" not in rows(tmp_path)[0]
    with pytest.raises(ConfigurationError, match="nothing to search"):
        search(tmp_path, Objective(tmp_path), params={}).run([])


def test_first_trials_may_miss_a_rate_that_others_reach(tmp_path: Path) -> None:
    found = search(tmp_path, Objective(tmp_path), startup=3)
    found.metric = "eval/validation/bpp_at_0.95"
    (tmp_path / "x").mkdir()
    write_result(tmp_path / "x", 10, {"eval/validation/auc_ms_ssim": 1.0}, pruned=False)
    for _ in range(2):
        found.tell(found.study.ask(), tmp_path / "x")
    with pytest.raises(ConfigurationError, match="is not measured"):
        found.tell(found.study.ask(), tmp_path / "x")


def test_best_trial_of_a_context_model_is_told_with_its_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = search(tmp_path, Objective(tmp_path), trials=4)
    found.config_name = "context"
    found.run([])
    assert "python train.py --config-name=context " in capsys.readouterr().out


def test_figure_that_is_not_measured_is_named(tmp_path: Path) -> None:
    unknown = search(tmp_path, Objective(tmp_path), params=PARAMS | {"model.bits": "5,6"})
    unknown.metric = "val/ssim"
    with pytest.raises(ConfigurationError, match="optimized_metric=val/ssim is not measured; choose from val/loss"):
        unknown.run([])


WORKER = """
import sys
from pathlib import Path
from rnncodec.training.search.study import open_study
study = open_study(Path(sys.argv[1]), "minimize", 3)
for _ in range(10):
    study.tell(trial := study.ask(), trial.suggest_float("x", -1, 1) ** 2)
"""


def test_processes_share_a_study(tmp_path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path / STUDY)]) for _ in range(2)]
    assert [worker.wait(240) for worker in workers] == [0, 0]
    trials = open_study(tmp_path / STUDY, "minimize", 3).trials
    assert [trial.number for trial in trials] == list(range(20))
    assert all(trial.value == trial.params["x"] ** 2 for trial in trials)


def test_whole_numbers_are_searched_for_options_that_need_them() -> None:
    params = OmegaConf.load(ROOT / "sweeps/search.yaml").hydra.sweeper.params
    for option, text in params.items():
        found = distribution(OverridesParser.create().parse_override(f"{option}={text}"))
        assert isinstance(found, IntDistribution) == isinstance(RANGES[option][0], int), option


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_search_goes_on(tmp_path: Path, shards_dir: Path) -> None:
    train = Trainer(tmp_path, shards_dir)
    folder = train.outputs / "search"
    options = [
        "-m", "+sweep=search", *SWEPT, "trainer.max_steps=20", "data.steps_per_epoch=10", "hydra.sweeper.trials=5",
        "hydra.sweeper.startup=2", f"hydra.sweep.dir={folder}",
    ]  # fmt: skip
    options.remove("warmup_steps=1")  # which is searched
    first = train.start(*options)
    wait_for(lambda: has_checkpoint(folder / "1-trial-1"), 500)  # after a whole trial
    first.kill()
    first.wait()
    finished = (folder / "0-trial-0" / "result.json").stat().st_mtime_ns
    assert read_result(folder / "1-trial-1") is None
    done = train(*options)
    assert done.returncode == 0, done.stderr
    assert (folder / "0-trial-0" / "result.json").stat().st_mtime_ns == finished
    assert any((folder / "1-trial-1" / CHECKPOINTS).iterdir())
    table = rows(folder)
    assert sorted(int(row["trial"]) for row in table) == list(range(5))
    assert "fail" not in {row["state"] for row in table}
    searched = {"optimizer.lr", "trainer.gradient_clip_val", "warmup_steps"}
    assert set(table[0]) == {"trial", "state", "val/rate_distortion"} | searched
    assert "Best:    python train.py" in done.stdout
    best = read_result(folder / "{0}-trial-{0}".format(table[0]["trial"]))
    assert best is not None
    assert f"{best['metrics']['val/rate_distortion']:.5f}" == table[0]["val/rate_distortion"]
