"""What a training step costs: CPU seconds of one core, rate term and optimizer included. Prints a Markdown table.

python -m benchmarks.steps experiment=light
python -m benchmarks.steps experiment=light --variant curriculum=[8] --variant 'curriculum=[16] loss.hvs=0'

The patches are random, so that no photos are needed. Products are of float32, and nothing is compiled, unless
trainer.precision and compile are given.
"""

import argparse
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig
from rich.progress import track

from benchmarks.training import composed
from rnncodec.evaluation.summary import markdown
from rnncodec.terminal import log
from rnncodec.training.build import build_codec_module
from rnncodec.training.process.device import resolve_precision

# Of experiment=light: what an iteration costs, and each part of its recipe.
VARIANTS = (
    "curriculum=[8]", "curriculum=[16]", "curriculum=[24]", "curriculum=[8] data.growth=[1]",
    "curriculum=[16] loss.ssimulacra2=0", "curriculum=[16] loss.share=0 loss.hvs=0 loss.ssimulacra2=0",
    "curriculum=[16] model.encoder_channels=[64,64,160]", "curriculum=[16] trainer.precision=bf16-mixed",
    "curriculum=[16] trainer.precision=bf16-mixed compile=true",
)  # fmt: skip

PLAIN = ("trainer.precision=32-true", "compile=false")  # on every machine, also where others would be faster


def step_of(config: DictConfig) -> Callable[[], None]:
    """A step at the end of the training that ``config`` describes, on random patches, in its precision."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    module = build_codec_module(config)
    precision: Any = resolve_precision(config.trainer.precision, "cpu")
    trainer = L.Trainer(accelerator="cpu", precision=precision, logger=False, enable_checkpointing=False, max_steps=1)
    module._trainer = trainer
    module.log = module.log_dict = lambda *_, **__: None  # type: ignore[assignment, method-assign]
    optimizer = module.optimizer(module.parameters())
    factor = config.data.growth[-1]
    side, count = factor * config.data.patch_size, config.data.batch_size // factor**2
    images = torch.rand(count, 3, side, side).to(memory_format=torch.channels_last)

    def step() -> None:
        with trainer.precision_plugin.train_step_context():
            loss = module.training_step(images, 0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def cpu_seconds(steps: Sequence[Callable[[], None]], repeats: int) -> list[float]:
    """The fewest CPU seconds of each of ``steps``, of ``repeats`` after one that is not counted. They take turns,
    because the speed of a machine changes from minute to minute."""
    taken: list[list[float]] = [[] for _ in steps]
    for _ in track(range(repeats + 1), "steps, in turns", console=log):
        for step, own in zip(steps, taken, strict=True):
            started = time.process_time()
            step()
            own.append(time.process_time() - started)
    return [min(own[1:]) for own in taken]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", nargs="*", help="options of train.py for all variants")
    parser.add_argument("--variant", action="append", help="options of one row, with spaces between them")
    parser.add_argument("--repeats", type=int, default=3, help="steps of which the fastest counts")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    variants = arguments.variant or VARIANTS
    steps = [step_of(composed([*PLAIN, *arguments.options, *variant.split()])) for variant in variants]
    taken = cpu_seconds(steps, arguments.repeats)
    rows = [[f"`{variant}`", f"{seconds:.2f}"] for variant, seconds in zip(variants, taken, strict=True)]
    print(markdown(["a step of", "CPU seconds"], rows))


if __name__ == "__main__":
    main()
