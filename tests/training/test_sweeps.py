"""Sweeps under Hydra's launchers, with real processes: they are killed, preempted, and lose their terminal."""

import os
import pty
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnncodec.training.launch.sweep import jobs
from rnncodec.training.run.checkpoints import steps_in
from rnncodec.training.run.folder import CHECKPOINTS, CONFIG, RESULT
from rnncodec.training.run.outcome import read_result
from rnncodec.training.run.saved_config import load_config
from tests.commands import Command
from tests.training import slurm
from tests.training.test_runs import ROOT, TINY, Trainer, assert_equal_weights
from tests.waiting import wait_for

SWEPT = [
    *TINY,
    "logger=csv",
    "evaluate_at_end=false",
    "data.steps_per_epoch=20",
    "data.num_workers=0",
    "model.binarizer=stochastic",
    "trainer.max_steps=60",
    "callbacks.last.every_n_steps=7",
]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, shards_dir: Path) -> Path:
    """The run that every job below must equal."""
    train = Trainer(tmp_path_factory.mktemp("alone"), shards_dir)
    done = train(*SWEPT)
    assert done.returncode == 0, done.stderr
    return train.runs()[0]


@pytest.fixture
def train(tmp_path: Path, shards_dir: Path) -> Trainer:
    return Trainer(tmp_path, shards_dir)


def seeded() -> random.Random:
    """For the moments of kills, another in each run of the tests. pytest shows the seed where a test fails."""
    seed = random.randrange(2**32)
    print(f"the moments of the kills: random.Random({seed})")
    return random.Random(seed)


def has_checkpoint(job: Path) -> bool:
    return any((job / CHECKPOINTS).glob("*.ckpt"))


def test_killed_sweep_goes_on_and_says_at_its_end_which_job_failed_and_why(train: Trainer, unbroken: Path) -> None:
    sweep = train.outputs / "sweep"
    job = sweep / "0-gru-additive-seed-0"
    options = ["-m", *SWEPT, "seed=0,-1", "hydra/launcher=joblib", f"hydra.sweep.dir={sweep}"]
    chance = seeded()
    first = train.start(*options)
    wait_for((job / CONFIG).is_file if chance.random() < 0.5 else lambda: has_checkpoint(job))
    time.sleep(chance.random())
    os.killpg(first.pid, signal.SIGKILL)  # its jobs, too: they would go on
    first.wait()
    done = train(*options)
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if "-gru-additive" in line]
    assert "finished" in next(line for line in lines if "│ 0-gru" in line), done.stdout
    assert "failed" in next(line for line in lines if "│ 1-gru" in line)
    assert "seed must be a whole number" in done.stdout
    assert f"hydra.sweep.dir={sweep}" in done.stdout
    assert_equal_weights(job, unbroken)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_sweep_of_four_jobs_that_is_killed_ten_times_ends_with_the_weights_of_an_unbroken_one(train: Trainer) -> None:
    whole, broken = train.outputs / "whole", train.outputs / "broken"
    options = ["-m", *SWEPT, "trainer.max_steps=100", "callbacks.last.every_n_steps=3", "seed=0,1,2,3"]
    chance = seeded()

    def checkpoints() -> set[tuple[Path, int]]:
        return {(path, path.stat().st_mtime_ns) for path in broken.glob(f"*/{CHECKPOINTS}/last.ckpt")}

    for _ in range(10):
        before, new, awaited = checkpoints(), set(), chance.randrange(11)  # 0: while it starts
        process = train.start(*options, f"hydra.sweep.dir={broken}")
        while len(new) < awaited and process.poll() is None:
            time.sleep(0.05)
            new |= checkpoints() - before
        time.sleep(chance.random() / 3)
        assert process.poll() is None, "it has ended before it was killed ten times"
        process.kill()
        process.wait()
    for sweep in (whole, broken):
        done = train(*options, f"hydra.sweep.dir={sweep}")
        assert done.returncode == 0, done.stderr
    assert len(jobs(whole)) == 4
    for job in jobs(whole):
        assert_equal_weights(broken / job.name, job)
        assert read_result(broken / job.name) == read_result(job)


def test_sweep_goes_on_when_its_terminal_closes(train: Trainer, unbroken: Path) -> None:
    sweep = train.outputs / "sweep"
    ours, theirs = pty.openpty()
    options = ["-m", *SWEPT, "seed=0", "hydra/launcher=submitit_local", f"hydra.sweep.dir={sweep}"]
    command = train.start(*options, terminal=os.ttyname(theirs))
    os.close(theirs)
    wait_for((sweep / "0-gru-additive" / CONFIG).is_file)
    os.close(ours)
    assert command.wait().returncode == 0
    assert "finished" in (sweep / "output.log").read_text()
    assert_equal_weights(sweep / "0-gru-additive", unbroken)


@pytest.fixture
def ray_cluster() -> Iterator[dict[str, str]]:
    """Starts Ray on this machine, and yields the environment that reaches it."""
    pytest.importorskip("ray")
    (port,) = slurm.free_ports(1)
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:  # not tmp_path: Ray's sockets need short paths
        options = [
            "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}", f"--temp-dir={folder}",
            "--num-cpus=2", "--num-gpus=0", "--include-dashboard=false", "--disable-usage-stats",
        ]  # fmt: skip
        ray = subprocess.Popen(
            [Path(sys.executable).with_name("ray"), "start", *options],
            cwd=ROOT,  # as docs/SCALING.md says
            # On a machine that is busy the node needs long to start, and its jobs would have the lowest priority.
            env=os.environ | {"RAY_raylet_start_wait_time_s": "200", "RAY_worker_niceness": "0"},
            stdout=subprocess.DEVNULL,
        )
        try:
            yield {"RAY_ADDRESS": f"127.0.0.1:{port}"}
        finally:
            ray.terminate()
            ray.wait(60)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sweep_on_ray_is_killed_and_goes_on(train: Trainer, unbroken: Path, ray_cluster: dict[str, str]) -> None:
    sweep = train.outputs / "sweep"
    options = ["-m", *SWEPT, "seed=0,-1", "hydra/launcher=ray", f"hydra.sweep.dir={sweep}"]
    first = train.start(*options, **ray_cluster)
    wait_for(lambda: has_checkpoint(sweep / "0-gru-additive-seed-0"))
    first.kill()
    first.wait()
    done = train(*options, **ray_cluster)
    assert done.returncode != 0
    assert "seed must be a whole number" in done.stdout
    assert_equal_weights(sweep / "0-gru-additive-seed-0", unbroken)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    (tmp_path / "slurm").mkdir()
    with slurm.cluster(tmp_path / "slurm") as environment:
        yield environment


@pytest.mark.slow  # SLURM waits before it starts a requeued job again
@pytest.mark.timeout(900)
@pytest.mark.skipif(slurm.missing() != "", reason=slurm.missing())
def test_preempted_job_of_slurm_saves_returns_to_the_queue_and_goes_on(
    train: Trainer, unbroken: Path, cluster: dict[str, str]
) -> None:
    sweep = train.outputs / "sweep"
    job = sweep / "0-gru-additive"
    options = ["seed=0", "hydra/launcher=submitit_slurm", f"hydra.sweep.dir={sweep}", "hydra.launcher.timeout_min=90"]
    submitter = train.start("-m", *SWEPT, *options, **cluster)
    wait_for(lambda: has_checkpoint(job))
    submitter.kill()  # the job does not need it
    submitter.wait()
    environment = os.environ | cluster
    subprocess.run(["scancel", "--signal=USR2", "--name=rnncodec"], env=environment, check=True)
    wait_for((job / RESULT).is_file, 600)
    (printed,) = sweep.glob(".submitit/*/*_0_log.out")
    assert "stopped by SIGUSR2 after step" in printed.read_text()
    assert "Requeued" in printed.read_text()
    assert_equal_weights(job, unbroken)


def test_two_torchruns_of_one_process_train_as_one_of_two(train: Trainer) -> None:
    together = train(*SWEPT, "trainer=ddp_cpu", "trainer.max_steps=20", "hydra.run.dir=" + str(train.outputs / "one"))
    assert together.returncode == 0, together.stderr
    (port,) = slurm.free_ports(1)
    options = ["--nnodes=2", "--nproc-per-node=1", f"--master-port={port}", "--master-addr=127.0.0.1"]
    agents = [
        Command("-m", "torch.distributed.run", *options, f"--node-rank={node}", ROOT / "train.py", *SWEPT,
                "trainer=ddp_cpu", "trainer.max_steps=20", environment=train.environment)
        for node in range(2)
    ]  # fmt: skip
    done = [agent.wait() for agent in agents]
    errors = "".join(each.stderr for each in done)
    assert [each.returncode for each in done] == [0, 0], errors
    assert "2 processes, 1 on each machine: 4 patches a step each, 8 together" in errors
    (run,) = (train.outputs / "runs").iterdir()  # one folder, though each process has read the clock
    assert_equal_weights(run, train.outputs / "one")


def test_run_of_one_process_is_resumed_by_torchrun_with_two(train: Trainer) -> None:
    run = train.outputs / "one"
    alone = train(*SWEPT, "trainer.max_steps=10", f"hydra.run.dir={run}")
    assert alone.returncode == 0, alone.stderr
    (port,) = slurm.free_ports(1)
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    done = Command(
        *torchrun, ROOT / "train.py", f"resume={run}", "trainer.max_steps=20", environment=train.environment
    ).wait()
    assert done.returncode == 0, done.stderr
    assert "2 processes, 2 on each machine: 4 patches a step each, 8 together" in done.stderr
    assert load_config(run).trainer.devices == 2
    assert steps_in(run / CHECKPOINTS / "last.ckpt") == 20
