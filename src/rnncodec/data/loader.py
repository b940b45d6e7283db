"""Epochs of known length over an endless stream, which can go on from the middle of one."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader


class Stream(Protocol):
    """An IterableDataset of endless batches, which begin anew, and differently, with each epoch."""

    epoch: int

    def __iter__(self) -> Iterator[torch.Tensor]: ...


class EpochLoader:
    """``steps`` batches an epoch, the same on every rank. What an epoch holds depends on its number alone, so a resumed
    run skips the batches it has had and sees the rest as an unbroken run would.

    ``total_steps`` ends the last epoch early, so that training ends with an epoch's end and its validation.
    """

    def __init__(self, stream: Stream, steps: int, total_steps: int, num_workers: int, pin_memory: bool) -> None:
        self.stream = stream
        self.steps = steps
        self.total_steps = total_steps
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.batches = 0  # handed out since the beginning of training

    def __len__(self) -> int:
        epoch_start = self.batches // self.steps * self.steps
        return max(0, min(self.steps, self.total_steps - epoch_start))

    def __iter__(self) -> Iterator[torch.Tensor]:
        self.stream.epoch, done = divmod(self.batches, self.steps)
        loader: DataLoader[torch.Tensor] = DataLoader(
            self.stream,  # type: ignore[arg-type]
            batch_size=None,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
        )
        for batch in islice(loader, done, len(self)):
            self.batches += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self.batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches = state["batches"]
