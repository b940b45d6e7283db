"""Whole runs of train.py, each a real process, on tiny networks and a few synthetic photos."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

import rnncodec
from rnncodec.evaluation.results import read_evaluation
from rnncodec.training.history import read_history
from rnncodec.training.run.outcome import read_result
from rnncodec.weights.weights_file import model_identity
from tests.commands import Command
from tests.evaluation.logged import assert_evaluation_logged
from tests.training.wandb_file import history, records

ROOT = Path(__file__).parents[2]
OURS = os.pathsep.join([str(ROOT / "src"), str(ROOT)])

TINY = [
    "model.width=0.03",
    "iterations=2",
    "data=shards",
    "data.batch_size=4",
    "data.steps_per_epoch=5",
    "data.shuffle_buffer=16",
    "data.val_crop=176",
    "data.val_photos=2",
    "callbacks.evaluation.photos=1",
    "trainer.max_steps=4",
    "trainer.log_every_n_steps=1",
    "warmup_steps=1",
]
SMALL_CONTEXT = ["context.groups=2", "context.hidden=[8,4]"]


class Trainer:
    """Runs train.py in a folder of its own, with neither W&B account nor terminal."""

    def __init__(self, folder: Path, shards: Path) -> None:
        self.outputs = folder / "outputs"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
        self.environment = kept | {
            "HOME": str(folder),
            "RNNCODEC_DATA": str(shards),
            "RNNCODEC_OUTPUTS": str(self.outputs),
            "PYTHONPATH": OURS,
            "OMP_NUM_THREADS": "1",
        }

    def __call__(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.start(*options, **environment).wait()

    def start(self, *options: str, terminal: str = "", **environment: str) -> Command:
        return Command(ROOT / "train.py", *options, environment=self.environment | environment, terminal=terminal)

    def runs(self) -> list[Path]:
        return sorted(path.parent for path in self.outputs.rglob("config.yaml"))


@pytest.fixture
def train(tmp_path: Path, shards_dir: Path) -> Trainer:
    return Trainer(tmp_path, shards_dir)


def test_run_leaves_weights_checkpoints_picture_and_an_offline_wandb_run(train: Trainer) -> None:
    done = train(*TINY, "tags=[first]", "group=trials")
    assert done.returncode == 0, done.stderr
    (run,) = train.runs()
    assert "MS-SSIM" in done.stdout
    assert "kMAC a pixel and iteration" in done.stdout
    assert f"{run}/strip.png" in done.stdout
    assert (run / "strip.png").is_file()
    assert list(read_history(run)["train/loss"]) == list(range(4))  # beside W&B

    codec = rnncodec.load_model(run)
    assert codec.config.width == 0.03
    assert codec.training_info["iterations"] == 2
    assert codec.training_info["steps"] == 4
    assert str(train.outputs) not in str(codec.training_info)  # no place of this machine
    assert_last_averaged_weights_exported(run)

    (file,) = run.glob("wandb/offline-run-*/*.wandb")
    logged = {key for step in history(file) for key in step}
    for t in ("t01", "t02"):
        assert {f"train/loss_{t}", f"val/psnr_{t}", f"val/ms_ssim_{t}"} <= logged
    assert {"val/strip.filenames", "data/corrupt", "lr-Adam", "val/ms_ssim_db_t02", "train/gradient_norm"} <= logged
    assert {"train/patches", "train/cpu_seconds", "train/patches_per_second", "train/peak_memory_gb"} <= logged
    assert list(read_history(run)["train/patches"].values()) == [4, 8, 12, 16]
    evaluation = read_evaluation(run / "evaluations" / "validation")
    assert [curve.name for curve in evaluation.curves] == [run.name, "jpeg"]
    assert evaluation.about.identity == model_identity(codec).hex()
    assert_evaluation_logged(file, evaluation)
    kinds = list(records(file))
    started = next(record.run for record in kinds if record.HasField("run"))
    assert (started.run_group, list(started.tags), started.job_type) == ("trials", ["first"], "train")
    options = {item.key: item.value_json for record in kinds for item in record.config.update}
    assert "decoder" in options["cost"]
    choices = json.loads(options["choices"])
    assert (choices["model"], choices["reconstruction"], choices["loss"]) == ("gru", "additive", "l1")
    train_set = json.loads(options["dataset"])["train"]
    assert (train_set["name"], train_set["photos"], len(train_set["hash"])) == ("train", 5, 8)
    nested = {".".join(item.nested_key) for record in kinds for item in record.config.update}
    assert {f"_wandb.visualize.val/{chart}" for chart in ("iterations", "quality_over_bpp")} <= nested
    metrics = [record.metric for record in kinds if record.HasField("metric")]
    hidden = {metric.glob_name for metric in metrics if metric.options.hidden}
    assert {"val/psnr_t*", "val/ms_ssim_t*", "train/loss_t*"} <= hidden
    best = next(metric.summary for metric in metrics if metric.name == "val/loss")
    assert (best.min, best.last) == (True, True)
    assert any(record.HasField("artifact") for record in kinds)


def test_multirun_with_two_processes_a_job_leaves_one_folder_a_job(train: Trainer) -> None:
    done = train(
        "-m", *TINY, "model=lstm", "+sweep=architectures", "trainer=ddp_cpu", "trainer.devices=2", "logger=wandb,csv",
        "rate_weight=[0.05]", *SMALL_CONTEXT, "reconstruction=additive",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "sync_dist" not in done.stderr  # Lightning's warning of values that ranks do not share
    runs = train.runs()
    assert [run.name for run in runs] == ["0-lstm-additive-0", "1-lstm-additive-0"]
    assert all((run / "weights.safetensors").is_file() for run in runs)
    assert all(OmegaConf.load(run / "config.yaml").group == "architectures" for run in runs)
    assert all(rnncodec.load_model(run).training_info["world_size"] == 2 for run in runs)
    assert [len(list(run.glob("wandb/offline-run-*"))) for run in runs] == [1, 0]
    (sweep,) = (train.outputs / "sweeps").iterdir()
    assert {path.name for path in sweep.iterdir() if path.is_dir()} == {run.name for run in runs}
    assert not (train.outputs / "runs").exists()  # no rank has started a run or a sweep of its own


def test_run_of_a_wandb_agent_keeps_its_id_and_a_resumed_run_is_one_history(train: Trainer) -> None:
    options = [*TINY, "evaluate_at_end=false"]
    done = train(*options, WANDB_MODE="offline", WANDB_SWEEP_ID="sweep123", WANDB_RUN_ID="agentrun1")
    assert done.returncode == 0, done.stderr
    (run,) = train.runs()
    assert OmegaConf.load(run / "config.yaml").run_id == "agentrun1"
    assert f"wandb sync {run}/wandb/offline-run-*" in done.stderr
    done = train(f"resume={run}", "trainer.max_steps=7")
    assert done.returncode == 0, done.stderr
    files = sorted(run.glob("wandb/offline-run-*/*.wandb"))
    assert [path.name for path in files] == ["run-agentrun1.wandb"] * 2
    counts = [[step["_step"] for step in history(path)] for path in files]
    assert counts[0] + counts[1] == sorted(set(counts[0] + counts[1]))
    trained = [step["trainer/global_step"] for path in files for step in history(path) if "train/loss" in step]
    assert trained == list(range(7))


KILLS = [{"KILL_AT_STEP": "8"}, {"KILL_AT_STEP": "10"}, {"KILL_AT_END": "validation"}, {"KILL_AT_END": "export"}]


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: "-".join(kill.values()))
def test_killed_and_resumed_run_ends_with_the_weights_of_an_unbroken_one(
    train: Trainer, tmp_path_factory: pytest.TempPathFactory, unbroken: Path, kill: dict[str, str]
) -> None:
    killed = train(*RESUMABLE, **kill)
    assert killed.returncode != 0
    (run,) = train.runs()
    assert_last_averaged_weights_exported(run)
    moved = run.rename(tmp_path_factory.mktemp("elsewhere") / "run")
    resumed = train(f"resume={moved}")
    assert resumed.returncode == 0, resumed.stderr
    assert "MS-SSIM" in resumed.stdout
    assert train.runs() == []  # it went on in its own folder
    assert_equal_weights(moved, unbroken)
    assert read_result(moved) == read_result(unbroken)
    logged = read_history(moved)
    for clock in (logged["train/seconds"], logged["train/cpu_seconds"]):  # of a repeated step, the second time
        assert list(clock.values()) == sorted(clock.values())  # the clocks continued, too


RESUMABLE = [
    *TINY,
    "logger=csv",
    "model.binarizer=stochastic",
    "rate_weight=[0.05]",
    *SMALL_CONTEXT,
    "trainer.max_steps=12",  # a checkpoint is saved after the last step, before its validation
    "callbacks.last.every_n_steps=3",
    "+callbacks.kill._target_=tests.training.kill_at.KillAt",
]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, shards_dir: Path) -> Path:
    train = Trainer(tmp_path_factory.mktemp("unbroken"), shards_dir)
    done = train(*RESUMABLE)
    assert done.returncode == 0, done.stderr
    return train.runs()[0]


WITHOUT_WANDB = f"""
import runpy, sys
for name in [*sys.modules, "wandb"]:
    if name.partition(".")[0] == "wandb":
        sys.modules[name] = None  # importing it fails
runpy.run_path({str(ROOT / "train.py")!r}, run_name="__main__")
"""


def test_finished_run_goes_on_with_more_steps_and_csv_needs_no_wandb(train: Trainer, tmp_path: Path) -> None:
    program = tmp_path / "without_wandb.py"
    program.write_text(WITHOUT_WANDB)
    done = Command(program, *TINY, "logger=csv", environment=train.environment).wait()
    assert done.returncode == 0, done.stderr
    (run,) = train.runs()
    damage(run / "checkpoints" / "last.ckpt")
    done = train(f"resume={run}", "trainer.max_steps=7")
    assert done.returncode == 0, done.stderr
    assert "last.ckpt; training goes on from best.ckpt, after step 4" in done.stderr
    assert rnncodec.load_model(run).training_info["steps"] == 7
    assert list(read_history(run)["train/loss"]) == list(range(7))
    for path in (run / "checkpoints").iterdir():
        damage(path)
    done = train(f"resume={run}", "trainer.max_steps=9")
    assert done.returncode != 0
    assert "best.ckpt, last.ckpt" in done.stderr
    assert "Traceback" not in done.stderr


def damage(path: Path) -> None:
    """Cut the file off in the middle, as a full disk does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


CONTEXT = [
    "--config-name=context",
    "patches=8",
    "data.patch_size=64",
    "data.batch_size=4",
    "data.steps_per_epoch=5",
    "data.shuffle_buffer=4",
    "data.val_crop=176",
    "data.val_photos=2",
    "trainer.max_steps=7",
    "trainer.log_every_n_steps=1",
    "callbacks.last.every_n_steps=3",
    "+callbacks.kill._target_=tests.training.kill_at.KillAt",
    "warmup_steps=1",
]
CHECKERBOARD = [*CONTEXT, *SMALL_CONTEXT]


def test_context_model_joins_its_codec_and_survives_a_kill(
    train: Trainer, tiny_weights: Path, photos_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = train(*CHECKERBOARD, f"codec={tiny_weights}")
    assert done.returncode == 0, done.stderr
    assert "bits a bit" in done.stdout
    (run,) = train.runs()
    codec, alone = rnncodec.load_model(run), rnncodec.load_model(tiny_weights)
    assert codec.context is not None
    assert codec.context.config.iterations == 3
    assert model_identity(codec) == model_identity(alone)
    assert codec.training_info["iterations"] == 3
    assert codec.training_info["context"]["steps"] == 7
    data = rnncodec.compress(photos_dir / "photo-0.png", model=run)
    assert len(data) <= len(rnncodec.compress(photos_dir / "photo-0.png", model=tiny_weights))
    assert rnncodec.decompress(data, model=run).size == (208, 192)

    (file,) = run.glob("wandb/offline-run-*/*.wandb")
    steps = history(file)
    assert {"train/bits_t01", "val/bits_t03", "lr-Adam"} <= {key for step in steps for key in step}
    validated = next(step for step in steps if "val/loss" in step)
    saved = [validated[f"val/saved_t{t:02d}"] for t in (1, 2, 3)]
    assert validated["val/loss"] == pytest.approx(1.0 - np.mean(saved))  # of files that end at any layer

    unbroken = run.rename(tmp_path_factory.mktemp("unbroken") / "run")
    assert train(*CHECKERBOARD, "logger=csv", f"codec={tiny_weights}", KILL_AT_STEP="4").returncode != 0
    (killed,) = train.runs()
    saved = (killed / "config.yaml").read_text()
    identity = model_identity(alone).hex()
    (killed / "config.yaml").write_text(saved.replace(f"codec_identity: {identity}", "codec_identity: '01234567'"))
    refused = train(f"resume={killed}")
    assert refused.returncode == 1
    assert "has other weights than when this run began" in refused.stderr
    (killed / "config.yaml").write_text(saved)
    resumed = train(f"resume={killed}")
    assert resumed.returncode == 0, resumed.stderr
    assert_equal_weights(killed, unbroken)


def test_binary_rnn_trains_and_measures_bits(train: Trainer, tiny_weights: Path) -> None:
    done = train(
        *CONTEXT, "context=binary_rnn", "context.maps=8", "optimizer.fused=true", "logger=csv", f"codec={tiny_weights}"
    )
    assert done.returncode == 0, done.stderr
    assert "bits a bit" in done.stdout
    assert "without the context model: binary_rnn codes no files" in done.stderr
    (run,) = train.runs()
    codec, alone = rnncodec.load_model(run), rnncodec.load_model(tiny_weights)
    assert codec.context is None
    assert codec.training_info["context"]["steps"] == 7
    assert model_identity(codec) == model_identity(alone)


def assert_last_averaged_weights_exported(run: Path) -> None:
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert "current_model_state" in last  # beside the averaged one
    averaged = {
        name.removeprefix("codec."): value for name, value in last["state_dict"].items() if name.startswith("codec.")
    }
    tensors = load_file(run / "weights.safetensors")
    exported = {name: value for name, value in tensors.items() if not name.startswith("context.")}
    assert exported.keys() == averaged.keys()
    has_rate_term = any(name.startswith("context.") for name in last["state_dict"])
    assert has_rate_term == (len(tensors) > len(exported))  # its context model is exported in integers
    assert all(torch.equal(exported[name], averaged[name]) for name in exported)
    assert rnncodec.load_model(run).training_info["steps"] == last["global_step"] > 0


def assert_equal_weights(one: Path, other: Path) -> None:
    weights, others = (load_file(run / "weights.safetensors") for run in (one, other))
    assert weights.keys() == others.keys()
    for name in weights:
        assert torch.equal(weights[name], others[name]), name


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("iterations=0", "iterations must be a whole number from 1 to 64, not 0"),
        ("model=transformer", "Could not find 'model/transformer'"),
    ],
)
def test_wrong_option_fails_with_one_message_and_no_run(train: Trainer, option: str, message: str) -> None:
    done = train(*TINY, option)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert train.runs() == []
