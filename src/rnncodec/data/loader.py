"""Epochs of known length over an endless stream; training can resume in the middle of an epoch."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader


class Stream(Protocol):
    """An IterableDataset of endless batches. Each epoch starts a new, different sequence of them."""

    epoch: int

    def __iter__(self) -> Iterator[torch.Tensor]: ...


class EpochLoader:
    """Epochs of ``steps`` optimizer steps, of ``batches_per_step`` batches each, the same on every rank.

    The batches of an epoch depend on its number alone. So a resumed run can skip the batches that it has already seen,
    and continues with the same batches as an unbroken run. The last epoch ends after ``total_steps`` steps, so that
    training ends with a validation.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        steps: int,
        total_steps: int,
        batches_per_step: int,
        num_workers: int,
        pin_memory: bool,
    ) -> None:
        self.stream = stream
        self.batches_per_epoch = steps * batches_per_step
        self.total_batches = total_steps * batches_per_step
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.batches = 0  # yielded since the beginning of training

    def __len__(self) -> int:
        epoch_start = self.batches // self.batches_per_epoch * self.batches_per_epoch
        return max(0, min(self.batches_per_epoch, self.total_batches - epoch_start))

    def __iter__(self) -> Iterator[torch.Tensor]:
        self.stream.epoch, done = divmod(self.batches, self.batches_per_epoch)
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
