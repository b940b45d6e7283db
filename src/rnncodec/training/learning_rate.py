"""The learning rate over training."""

import math
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(step: int, warmup_steps: int, total_steps: int, final: float) -> float:
    """The factor on the learning rate at ``step``: linear up to 1 over ``warmup_steps``, then half a cosine down to
    ``final`` at ``total_steps``."""
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * progress))


def scheduled(optimizer: Optimizer, warmup_steps: int, total_steps: int, final: float) -> dict[str, Any]:
    """``optimizer`` under `warmup_cosine`, as Lightning's ``configure_optimizers`` returns it."""
    factor = partial(warmup_cosine, warmup_steps=warmup_steps, total_steps=total_steps, final=final)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}
