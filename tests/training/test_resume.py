"""Runs that go on, and runs that are stopped: what they do then, not what their config says."""

import json
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from rnncodec.errors import OutputError, RnncodecError
from rnncodec.training.history import read_history
from rnncodec.training.launch import start
from rnncodec.training.launch.prepare import prepare
from rnncodec.training.launch.start import locked, single
from rnncodec.training.launch.sweep import check_same
from rnncodec.training.process.interruption import Stopped
from rnncodec.training.run.checkpoints import AtomicCheckpoints, newest, steps_in
from rnncodec.training.run.outcome import read_result, state, write_failure, write_result
from rnncodec.weights.weights_file import load_model
from tests.training.test_runs import ROOT, TINY, assert_equal_weights
from tests.training.watchers import Seen

OPTIONS = [
    *(option for option in TINY if option != "data=shards"),
    "model=gru", "trainer.accelerator=cpu", "data.num_workers=0", "data.val_photos=1", "evaluate_at_end=false",
    "logger=csv", "warmup_steps=0", "final_lr=1", "callbacks.last.every_n_steps=100",
]  # fmt: skip
OPTIONS.remove("warmup_steps=1")

Config = Callable[..., DictConfig]


@pytest.fixture
def train(config: Config, tmp_path: Path) -> Callable[..., Path]:
    """Trains in this process; returns the folder of the run."""

    def run(*options: str, folder: str = "run", resume: bool = False) -> Path:
        path = tmp_path / folder
        composed = config(*OPTIONS, *([f"resume={path}"] if resume else options))
        single(composed, path, [f"resume={path}", *options])
        return path

    return run


WATCH = "+callbacks.seen._target_=tests.training.watchers.Seen"


def test_options_that_a_resume_changes_take_effect_in_training(train: Callable[..., Path]) -> None:
    Seen.steps.clear()
    train(WATCH)
    assert {(step["lr"], step["decay"], step["every"]) for step in Seen.steps} == {(3e-3, 0.999, 100)}
    Seen.steps.clear()
    changes = [
        "trainer.max_steps=7", "optimizer.lr=0.001", "+optimizer.betas=[0.8,0.9]", "trainer.gradient_clip_val=0.5",
        "callbacks.average.decay=0.5", "callbacks.last.every_n_steps=2", "rate_power=1.0",
    ]  # fmt: skip
    with pytest.raises(RnncodecError, match="betas' cannot be changed"):  # it was no option of the run
        train(*changes, resume=True)
    changes.remove("+optimizer.betas=[0.8,0.9]")
    folder = train(*changes, "final_lr=0.5", resume=True)
    assert [step["step"] for step in Seen.steps] == [5, 6, 7]
    assert {(step["clip"], step["decay"], step["every"]) for step in Seen.steps} == {(0.5, 0.5, 2)}
    assert Seen.steps[-1]["lr"] == pytest.approx(0.0005, rel=1e-3)  # the schedule, too
    assert all(0.0005 <= step["lr"] < 0.001 for step in Seen.steps)
    assert load_model(folder).training_info["options"]["optimizer"]["lr"] == 0.001


def test_extended_run_equals_an_unbroken_one_and_is_validated_at_the_same_steps(train: Callable[..., Path]) -> None:
    options = [
        "model.binarizer=stochastic", "curriculum=[[1,1,2]]", "data.smooth=0.5",
        "rate_weight=[0.1]", "context.groups=2", "context.hidden=[8,4]",
    ]  # fmt: skip
    whole = train("trainer.max_steps=12", *options, folder="whole")
    extended = train(*options)
    assert steps_in(extended / "checkpoints" / "last.ckpt") == 4
    train("trainer.max_steps=12", resume=True)
    assert_equal_weights(extended, whole)
    validated, expected = (read_history(folder)["val/loss"] for folder in (extended, whole))
    assert list(validated) == [3, *expected]  # at the end of the first part too
    assert validated.items() >= expected.items()


def test_validation_that_a_signal_breaks_off_is_made_up_for(train: Callable[..., Path]) -> None:
    signals = "+callbacks.signal._target_=tests.training.watchers.SignalAt"
    options = [signals, f"+callbacks.signal.number={signal.SIGTERM.value}", "+callbacks.signal.place=validation"]
    with pytest.raises(Stopped):
        train("trainer.max_steps=8", "data.steps_per_epoch=3", *options)
    folder = train("callbacks.signal.place=nowhere", resume=True)
    assert list(read_history(folder)["val/loss"]) == [3, 5, 7]  # the first one a step late


def test_newest_checkpoint_knows_of_the_last_validation(train: Callable[..., Path]) -> None:
    folder = train("trainer.max_steps=4", "data.steps_per_epoch=2")
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    (charts,) = (state for name, state in saved.items() if "IterationCharts" in name)
    assert charts["steps"] == [1, 3]
    (best,) = (state for name, state in saved.items() if "ModelCheckpoint" in name)
    figures = read_history(folder)["val/rate_distortion"]
    assert float(best["best_model_score"]) == pytest.approx(min(figures.values()))


def test_run_needs_the_weights_it_started_from_no_more(train: Callable[..., Path], tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    options = ["trainer.max_steps=6", "rate_weight=[0.1]", "context.groups=2", "context.hidden=[8,4]"]
    train(folder="first").joinpath("weights.safetensors").rename(start)
    whole = train(f"weights={start}", *options, folder="whole")
    resumed = train(f"weights={start}", *options, "trainer.max_steps=3")
    start.unlink()
    train("trainer.max_steps=6", resume=True)
    assert_equal_weights(resumed, whole)
    with pytest.raises(RnncodecError, match="neither a weights file nor a released model"):
        train(f"weights={start}", folder="other")


def without(folder: Path, *names: str) -> None:
    """Take options out of the config of a run, as versions had it that had not got them yet."""
    config = OmegaConf.load(folder / "config.yaml")
    for name in names:
        part, _, option = name.rpartition(".")
        del (OmegaConf.select(config, part) if part else config)[option]
    OmegaConf.save(config, folder / "config.yaml")


def test_run_of_an_older_version_goes_on(train: Callable[..., Path], config: Config) -> None:
    folder = train()
    without(folder, "model.settled_psnr", "model.projections", "data.smooth", "optimizer.fused")
    with (folder / "config.yaml").open("a") as file:
        file.write("rate_slope: 0.0\n")
    check_same(config(*OPTIONS), folder)  # as a sweep does
    train("trainer.max_steps=6", resume=True)
    assert steps_in(folder / "checkpoints" / "last.ckpt") == 6


def test_job_that_trains_a_context_model_is_taken_up_again(config: Config, tiny_weights: Path, tmp_path: Path) -> None:
    overrides = [f"codec={tiny_weights}", "data.train=${data.val}"]
    options = config(*overrides, of="context")
    prepare(options, tmp_path / "job")
    check_same(options, tmp_path / "job")
    with pytest.raises(RnncodecError, match="other options: patches"):
        check_same(
            config(f"codec={tiny_weights}", "data.train=${data.val}", "patches=9", of="context"), tmp_path / "job"
        )


def test_a_multirun_resumes_nothing(train: Callable[..., Path], config: Config, tmp_path: Path) -> None:
    folder = train()
    with pytest.raises(RnncodecError, match="does not work with -m"):
        start.job(config(*OPTIONS, f"resume={folder}"), tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_run_with_an_option_that_is_no_more_is_refused(train: Callable[..., Path], config: Config) -> None:
    folder = train()
    with (folder / "config.yaml").open("a") as file:
        file.write("rate_slope: 0.01\n")
    with pytest.raises(RnncodecError, match=r"rate_slope=0.01 is an option that this version has no longer"):
        train("trainer.max_steps=6", resume=True)
    with pytest.raises(RnncodecError, match="other options: rate_slope"):
        check_same(config(*OPTIONS), folder)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.width=0.06"], "model.width cannot be changed from 0.03 to 0.06"),
        (["frozen=[encoder]"], "frozen"),
        (["iterations=3"], "iterations cannot be changed from 2 to 3"),
        (["rate_weight=[0.1]", "trainer.max_steps=9"], "does not fit the options"),
        (["optimizer._target_=torch.optim.SGD"], "cannot be changed"),
        (["trainer.max_steps=3"], "has trained 4 steps already"),
        (["data.train=nowhere", "trainer.max_steps=9"], "nowhere"),
        (["callbacks.last._target_=rnncodec.Nothing", "trainer.max_steps=9"], "Nothing"),  # found when training starts
    ],
)
def test_resume_that_fails_leaves_everything_as_it_was(
    train: Callable[..., Path], changes: list[str], message: str
) -> None:
    folder = train()
    before = snapshot(folder)
    with pytest.raises(RnncodecError, match=message):
        train(*changes, resume=True)
    assert snapshot(folder) == before
    assert state(folder)[0] == "finished"


def test_run_that_another_process_trains_keeps_its_options(train: Callable[..., Path]) -> None:
    folder = train()
    before = snapshot(folder)
    with locked(folder), pytest.raises(RnncodecError, match="is being trained by another process"):
        train("trainer.max_steps=9", resume=True)
    assert snapshot(folder) == before


def test_run_that_two_processes_train_is_not_resumed_meanwhile(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[int] = []

    def resume_meanwhile(folder: Path, processes: int) -> None:
        before = snapshot(folder)
        with pytest.raises(RnncodecError, match="is being trained by another process"):
            train("trainer.max_steps=9", resume=True)
        assert snapshot(folder) == before
        refused.append(processes)

    monkeypatch.setattr(start, "fit_apart", resume_meanwhile)
    train("trainer.devices=2")
    assert refused == [2]


def test_checkpoint_and_first_validation_come_after_a_time_too(train: Callable[..., Path]) -> None:
    Seen.steps.clear()
    folder = train("callbacks.last.every_n_minutes=0", "callbacks.validation.first_after_minutes=0", WATCH)
    assert list(read_history(folder)["val/loss"]) == [0, 3]  # once by time, then at the end
    assert [step["saved"] for step in Seen.steps] == [0, 1, 2, 3]  # seen before the checkpoint of the same step


def test_training_stops_at_the_first_loss_that_is_not_finite(train: Callable[..., Path], tmp_path: Path) -> None:
    options = ["optimizer.lr=1000", "trainer.gradient_clip_val=null", "trainer.max_steps=40", "data.steps_per_epoch=40"]
    break_it = "+callbacks.break._target_=tests.training.watchers.BreakWeights"
    with pytest.raises(RnncodecError, match="the loss is not finite at step 8"):
        train(*options, "callbacks.last.every_n_steps=3", "optimizer.lr=0.001", break_it)
    folder = tmp_path / "run"
    path = newest(folder / "checkpoints")
    assert path is not None
    assert steps_in(path) == 6
    saved = torch.load(path, weights_only=True)
    assert all(tensor.isfinite().all() for tensor in saved["state_dict"].values() if tensor.is_floating_point())
    assert read_result(folder) is None


def test_result_file_is_json_whatever_the_figures_are(tmp_path: Path) -> None:
    write_result(tmp_path, 3, {"val/loss": float("nan"), "val/psnr_t01": float("inf"), "val/bits": 0.5}, pruned=False)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads((tmp_path / "result.json").read_text(), parse_constant=refuse)
    assert content["metrics"] == {"val/bits": 0.5}


def test_checkpoint_that_does_not_fit_on_the_disk_leaves_the_older_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"global_step": 1, "weights": torch.zeros(10)}, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"last.ckpt cannot be written, and stays as it was"):
            AtomicCheckpoints().save_checkpoint({"global_step": 2, "weights": torch.zeros(1_000_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert steps_in(path) == 1
    assert [each.name for each in path.parent.iterdir()] == ["last.ckpt"]


def test_results_after_a_limit_of_time_are_all_of_the_last_step(
    train: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train("trainer.max_steps=100000", "data.steps_per_epoch=100000", "trainer.max_time=00:00:00:02")
    result = read_result(folder)
    assert result is not None
    assert max(read_history(folder)["val/loss"]) == result["steps"] - 1
    assert steps_in(folder / "checkpoints" / "last.ckpt") == result["steps"]
    assert load_model(folder).training_info["steps"] == result["steps"]
    train(resume=True)
    ended = f"the run has ended after step {result['steps']}, by trainer.max_time=00:00:00:02;"
    assert f"nothing is left to train: {ended}" in capsys.readouterr().err


def test_validation_figures_are_the_same_with_any_number_of_processes(train: Callable[..., Path]) -> None:
    folder = train("trainer.max_steps=2", "data.val_photos=3")  # which two processes cannot share equally
    one = read_result(folder)
    train("trainer.devices=2", resume=True)
    two = read_result(folder)
    assert one is not None
    assert two is not None
    assert one["metrics"].keys() == two["metrics"].keys()
    assert {name: two["metrics"][name] for name in one["metrics"]} == pytest.approx(one["metrics"], rel=1e-4)


def test_job_that_is_refused_in_a_finished_folder_is_not_listed_as_finished(config: Config, tmp_path: Path) -> None:
    write_result(tmp_path, 4, {"val/loss": 0.5}, pruned=False)
    write_failure(tmp_path, "other options")
    assert state(tmp_path) == ("failed", "other options")


def test_slash_in_a_name_makes_no_folder_within_another() -> None:
    options: Any = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "base" / "run.yaml"), resolve=False)
    hydra = options["hydra"]
    for folder in (hydra["run"]["dir"], hydra["sweep"]["dir"], hydra["sweep"]["subdir"]):
        assert "${name}" not in folder.replace("${in_path:${name}}", "")
    assert OmegaConf.create({"name": "mine/tiny", "folder": "1-${in_path:${name}}"}).folder == "1-mine-tiny"


def test_folder_of_a_refused_run_is_not_left_behind(config: Config, tmp_path: Path) -> None:
    folder = tmp_path / "made-by-hydra"
    folder.mkdir()
    with pytest.raises(RnncodecError):
        single(config(*OPTIONS, "iterations=0"), folder, [])
    assert not folder.exists()
