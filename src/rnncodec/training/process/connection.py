"""The connection between the processes of a run that torchrun or srun has started."""

import os
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

T = TypeVar("T")


def connect(gpu: bool) -> None:
    """Connect this process with the others of the run. Lightning uses the connection that it finds."""
    if not distributed.is_initialized():
        if gpu:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=timedelta(minutes=30))


def disconnect() -> None:
    """End the connection: with one that is open, Python may not come to its end."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def from_first(value: T) -> T:
    """The ``value`` of the first process, in all of them."""
    values: list[Any] = [value]
    distributed.broadcast_object_list(values, src=0, device=torch.device("cpu"))
    return values[0]
