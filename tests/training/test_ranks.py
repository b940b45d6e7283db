"""Which processes take themselves for one of several."""

import os

import pytest

from rnncodec.training.process.ranks import adopt_srun, started_together

JOB = {"SLURM_JOB_ID": "1234", "SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
STEP = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "MASTER"))}
    monkeypatch.setattr(os, "environ", kept)  # what is set here is forgotten


def test_a_batch_script_of_a_job_with_several_tasks_is_one_process() -> None:
    os.environ |= JOB | {"SLURM_NODEID": "0"}
    adopt_srun()
    assert not started_together()


def test_a_task_of_srun_is_one_of_several() -> None:
    os.environ |= JOB | STEP | {"SLURM_NODEID": "1", "SLURM_STEP_NODELIST": "node[1-2]"}
    adopt_srun()
    assert started_together()
    found = [os.environ[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")]
    assert found == ["3", "1", "4", "2"]
