"""The processes of a run that torchrun or srun has started, on one machine or on several."""

import os


def adopt_srun() -> None:
    """If srun started this process as one of several tasks, set the variables that torchrun sets for its processes. A
    batch script without srun is one process, however many tasks its job may have: it has no variables of a step."""
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    if tasks == 1 or "RANK" in os.environ or "SLURM_PROCID" not in os.environ:
        return
    from lightning.fabric.plugins.environments import SLURMEnvironment

    nodes = int(os.environ.get("SLURM_STEP_NUM_NODES", "1"))
    os.environ |= {
        "RANK": os.environ["SLURM_PROCID"],
        "LOCAL_RANK": os.environ["SLURM_LOCALID"],
        "GROUP_RANK": os.environ["SLURM_NODEID"],
        "WORLD_SIZE": str(tasks),
        "LOCAL_WORLD_SIZE": str(tasks // nodes),
        "MASTER_ADDR": os.environ.get("MASTER_ADDR")
        or SLURMEnvironment.resolve_root_node_address(os.environ.get("SLURM_STEP_NODELIST", "127.0.0.1")),
        "MASTER_PORT": os.environ.get("MASTER_PORT") or str(15000 + int(os.environ["SLURM_JOB_ID"][-4:])),
    }


def started_together() -> bool:
    """Whether torchrun or srun has started this process as one of several."""
    return "RANK" in os.environ and world_size() > 1


def world_size() -> int:
    """The number of processes that torchrun or srun has started; 1 if neither has."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_world_size() -> int:
    """The number of these processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes, among those of torchrun, of srun or of Lightning's own launcher."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0
