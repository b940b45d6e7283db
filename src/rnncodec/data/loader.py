"""Epochs of known length over an endless stream; training can resume in the middle of an epoch."""

import os
import sys
from collections.abc import Iterator
from itertools import count, islice
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Stream(Protocol):
    """Endless batches for each epoch, divided among readers."""

    def batches(self, epoch: int, reader: int, readers: int, skip: int) -> Iterator[torch.Tensor]:
        """The batches of one of ``readers`` readers in ``epoch``, without its first ``skip``."""
        ...


class Batches(IterableDataset[torch.Tensor]):
    """The batches of ``stream`` in the order of training, ``per_epoch`` from each epoch, from number ``start`` on.

    The DataLoader takes one batch from each worker in turn. Worker r of n is given the batches r, r + n, r + 2n, …
    counted from the beginning of training, whatever ``start`` is. So a resumed run has the batches of an unbroken one.
    A worker goes on with the next epoch by itself, while the last batches of this one are trained and validation runs.
    """

    def __init__(self, stream: Stream, per_epoch: int = sys.maxsize, start: int = 0) -> None:
        self.stream = stream
        self.per_epoch = per_epoch
        self.start = start

    def __iter__(self) -> Iterator[torch.Tensor]:
        worker = get_worker_info()
        readers = worker.num_workers if worker else 1
        reader = (self.start + (worker.id if worker else 0)) % readers
        for epoch in count(self.start // self.per_epoch):
            begin = epoch * self.per_epoch
            own = range(begin + (reader - begin) % readers, begin + self.per_epoch, readers)
            left = own[max(0, -(-(self.start - own.start) // readers)) :]
            yield from islice(self.stream.batches(epoch, reader, readers, len(own) - len(left)), len(left))


class EpochLoader:
    """Epochs of ``steps`` optimizer steps, of ``batches_per_step`` batches each, the same on every rank.

    The batches of an epoch depend on its number alone. So a resumed run leaves out the batches that it has already
    seen, and continues with the same batches as an unbroken run. The last epoch ends after ``total_steps`` steps, so
    that training ends with a validation. The workers live from the first epoch to the last.
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
        self._running: Iterator[torch.Tensor] | None = None

    def __len__(self) -> int:
        epoch_start = self.batches // self.batches_per_epoch * self.batches_per_epoch
        return max(0, min(self.batches_per_epoch, self.total_batches - epoch_start))

    def __iter__(self) -> Iterator[torch.Tensor]:
        length, done = len(self), self.batches % self.batches_per_epoch
        if length == 0:
            return
        if self._running is None:
            loader: DataLoader[torch.Tensor] = DataLoader(
                Batches(self.stream, self.batches_per_epoch, self.batches),
                batch_size=None,
                num_workers=self.num_workers,
                pin_memory=self.pin_memory,
                worker_init_fn=leave_signals_to_the_trainer,
            )
            self._running = iter(loader)
        for batch in islice(self._running, length - done):
            self.batches += 1
            if self.batches == self.total_batches:
                self._running = None  # ends the workers
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self.batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches = state["batches"]
        self._running = None


def leave_signals_to_the_trainer(worker: int) -> None:
    """A terminal and `timeout` send signals to all processes of a group. The one that trains needs its workers until it
    has ended the step, so that they leave its group."""
    os.setpgrp()
