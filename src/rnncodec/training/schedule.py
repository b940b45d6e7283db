"""The learning rate over training."""

import math


def warmup_cosine(step: int, warmup_steps: int, total_steps: int, final: float) -> float:
    """The factor on the learning rate at ``step``: linear up to 1 over ``warmup_steps``, then half a cosine down to
    ``final`` at ``total_steps``."""
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * progress))
