import argparse

import torch

from benchmarks.steps import cpu_seconds, step_of
from benchmarks.training import Step, composed, estimate

TINY = ["model.width=0.03", "iterations=2", "trainer.precision=32-true"]


def test_cost_is_that_of_a_patch_and_grows_with_what_is_trained() -> None:
    flops, kept = Step(composed(TINY), 2, "cpu").cost()
    assert Step(composed(TINY), 4, "cpu").cost()[0] == flops
    assert Step(composed([*TINY, "data.patch_size=64"]), 2, "cpu").cost()[0] == 4 * flops
    more_flops, more_kept = Step(composed([*TINY, "iterations=4"]), 2, "cpu").cost()
    assert 1.8 * flops < more_flops < 2.5 * flops  # the first iteration has no state to read
    assert 1.8 * kept < more_kept < 2.5 * kept


def test_a_step_trains() -> None:
    step = Step(composed(TINY), 2, "cpu")
    before = [parameter.clone() for parameter in step.module.codec.parameters()]
    for _ in range(2):
        step()
    after = step.module.codec.parameters()
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_an_estimate_follows_from_cost_and_device() -> None:
    options = argparse.Namespace(estimate=(800, 80), share=0.4, minutes=25)
    estimated = estimate(flops=320e9, kept=2**28, parameters=10_000_000, options=options)
    assert "1,000 patches/s, 1.50 million in 25 minutes" in estimated
    assert "at most 319 patches a step" in estimated


def test_steps_trained_in_turns_take_cpu_seconds() -> None:
    trained = []
    options = [*TINY, "rate_weight=[0.1]", "context.groups=2", "data.batch_size=4"]
    steps = [step_of(composed([*options, f"curriculum=[[{count}]]"])) for count in (1, 2)]
    turns = [lambda number=number, step=step: (trained.append(number), step()) for number, step in enumerate(steps)]
    assert all(seconds > 0 for seconds in cpu_seconds(turns, 2))
    assert trained in ([0, 1] * 3, [0, 1] * 2)  # perhaps once before they are measured
