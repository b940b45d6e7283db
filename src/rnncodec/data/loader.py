"""Epochs of known length over an endless stream; training can resume in the middle of an epoch."""

import os
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Stream(Protocol):
    """Batches that are divided among readers. They come in segments: at the start of each, the stream starts anew."""

    def segment(self, batch: int, readers: int) -> range:
        """The numbers of the batches in the segment that has the number ``batch``. Batches are counted from the
        beginning of training."""
        ...

    def batches(self, start: int, reader: int, readers: int, skip: int) -> Iterator[torch.Tensor]:
        """The batches of one of ``readers`` readers from ``start`` on, the first number of a segment, without its first
        ``skip``."""
        ...


class Batches(IterableDataset[torch.Tensor]):
    """The batches of ``stream`` in the order of training, from number ``start`` on.

    The DataLoader takes one batch from each worker in turn. Worker r of n is given the batches r, r + n, r + 2n, …
    counted from the beginning of training, whatever ``start`` is. So a resumed run has the batches of an unbroken one.
    A worker goes on with the next batches by itself while validation runs.
    """

    def __init__(self, stream: Stream, start: int = 0) -> None:
        self.stream = stream
        self.start = start

    def __iter__(self) -> Iterator[torch.Tensor]:
        worker = get_worker_info()
        readers = worker.num_workers if worker else 1
        reader = (self.start + (worker.id if worker else 0)) % readers
        number = self.start
        while True:
            segment = self.stream.segment(number, readers)
            own = range(segment.start + (reader - segment.start) % readers, segment.stop, readers)
            left = own[max(0, -(-(number - own.start) // readers)) :]
            yield from islice(self.stream.batches(segment.start, reader, readers, len(own) - len(left)), len(left))
            number = segment.stop


class EpochLoader:
    """Epochs of ``steps`` optimizer steps, of ``batches_per_step`` batches each, the same on every rank.

    An epoch is the time between two validations; the stream of batches goes on from one to the next. A resumed run
    leaves out the batches that it has already seen, and continues with the same batches as an unbroken run. The last
    epoch ends after ``total_steps`` steps, so that training ends with a validation. The workers live from the first
    epoch to the last.
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
                Batches(self.stream, self.batches),
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
