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


def take_options(checkpoint: dict[str, Any], configured: dict[str, Any]) -> None:
    """Let a resumed run have the optimizer's options of its config, not those that ``checkpoint`` remembers: change
    them there, before they are loaded. ``configured`` is what `scheduled` has made anew."""
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    (saved,) = checkpoint["lr_schedulers"]
    saved["base_lrs"] = schedule.base_lrs
    saved["_last_lr"] = [base * schedule.lr_lambdas[0](saved["last_epoch"]) for base in schedule.base_lrs]
    (state,) = checkpoint["optimizer_states"]
    for group, new, lr in zip(state["param_groups"], optimizer.param_groups, saved["_last_lr"], strict=True):
        group |= {name: value for name, value in new.items() if name != "params"} | {"lr": lr}
