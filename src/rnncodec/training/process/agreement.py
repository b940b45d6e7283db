"""Wishes on which all processes of a run must act after the same step: to stop, to save, to validate."""

from typing import Any

import lightning as L
import torch
from torch import distributed


class Agreement:
    """After each step every process states its wishes. Where there are several processes, the answer is one step late,
    because it travels, between main memories, while they compute: no process waits, for another one or for its GPU.
    """

    def __init__(self) -> None:
        self.group: Any = None  # of one process alone
        self.pending: tuple[Any, torch.Tensor] | None = None

    def connect(self, trainer: L.Trainer) -> None:
        if trainer.world_size > 1:
            self.group = distributed.new_group(backend="gloo")

    def on(self, *wishes: bool) -> list[bool]:
        """For each of ``wishes``, whether any process had it. All processes get the same answer after the same step."""
        if self.group is None:
            return list(wishes)
        answer = self.settle() or [False] * len(wishes)
        asked = torch.tensor(wishes, dtype=torch.int32)
        self.pending = distributed.all_reduce(asked, distributed.ReduceOp.MAX, group=self.group, async_op=True), asked
        return answer

    def settle(self) -> list[bool]:
        """The answer that is still on its way, if any."""
        if self.pending is None:
            return []
        (work, asked), self.pending = self.pending, None
        work.wait()
        return [bool(wish) for wish in asked.tolist()]
