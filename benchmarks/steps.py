"""What a training step costs: CPU seconds of one core, rate term and optimizer included. Prints a Markdown table.

python -m benchmarks.steps experiment=light
python -m benchmarks.steps experiment=light --variant curriculum=[8] --variant 'rate_slope=0.01 iterations=16'

The patches are random, so that no photos are needed.
"""

import argparse
import time

import lightning as L
import torch

from benchmarks.training import composed
from rnncodec.evaluation.summary import markdown
from rnncodec.training.build import build_codec_module

# Of experiment=light: what an iteration costs, and each part of its recipe.
VARIANTS = (
    "curriculum=[8]", "curriculum=[16]", "curriculum=[24]", "curriculum=[8] data.growth=[1]",
    "curriculum=[16] rate_slope=0.01", "curriculum=[16] loss.ssimulacra2=0.3",
    "curriculum=[16] loss.share=0 loss.hvs=0", "curriculum=[16] model.encoder_channels=[64,64,192]",
)  # fmt: skip


def cpu_seconds(overrides: list[str], repeats: int) -> float:
    """The fewest CPU seconds of a step at the end of training, of ``repeats`` after one that is not counted."""
    config = composed([*overrides, "compile=false", "trainer.precision=32-true"])
    module = build_codec_module(config)
    module._trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, max_steps=1)
    module.log = module.log_dict = lambda *_, **__: None  # type: ignore[assignment, method-assign]
    optimizer = module.optimizer(module.parameters())
    factor = config.data.growth[-1]
    side, count = factor * config.data.patch_size, config.data.batch_size // factor**2
    images = torch.rand(count, 3, side, side).to(memory_format=torch.channels_last)
    taken = []
    for _ in range(repeats + 1):
        started = time.process_time()
        module.training_step(images, 0).backward()
        optimizer.step()
        optimizer.zero_grad()
        taken.append(time.process_time() - started)
    return min(taken[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", nargs="*", help="options of train.py for all variants")
    parser.add_argument("--variant", action="append", help="options of one row, with spaces between them")
    parser.add_argument("--repeats", type=int, default=3, help="steps of which the fastest counts")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for variant in arguments.variant or VARIANTS:
        taken = cpu_seconds([*arguments.options, *variant.split()], arguments.repeats)
        rows.append([f"`{variant}`", f"{taken:.2f}"])
    print(markdown(["a step of", "CPU seconds"], rows))


if __name__ == "__main__":
    main()
