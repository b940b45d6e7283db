"""The cost of a training step of train.py, and its speed as a share of the speed of a bf16 matrix product.

python benchmarks/training.py
python benchmarks/training.py experiment=release_full --batch-sizes 16 32 64
python benchmarks/training.py experiment=release_full compile=false --batch-sizes 2 --estimate 800 78

The options of train.py choose the network, its loss and the patches; with compile=true, and on a GPU, eager and
compiled steps are measured. --estimate computes the speed to expect on another device, from its TFLOP/s in a bf16
product and its GiB of memory.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from rnncodec.training.build import build_codec_module
from rnncodec.training.process.device import resolve_compile, resolve_precision

CONF = Path(__file__).resolve().parents[1] / "conf"
STATE = 20  # bytes a parameter: itself, its gradient, Adam's two moments, its average


class Step:
    """A training step on ``batch_size`` random patches."""

    def __init__(self, config: DictConfig, batch_size: int, device: str, compiled: bool = False) -> None:
        options = OmegaConf.merge(config, {"compile": compiled})
        assert isinstance(options, DictConfig)
        self.module = build_codec_module(options).to(device)
        self.optimizer = self.module.optimizer(self.module.codec.parameters())
        self.iterations = config.iterations
        self.device = device
        self.compiled = compiled
        self.mixed = resolve_precision(config.trainer.precision, device) == "bf16-mixed"
        images = torch.rand(batch_size, 3, config.data.patch_size, config.data.patch_size, device=device)
        self.images = images.to(memory_format=torch.channels_last)

    def __call__(self) -> None:
        with torch.autocast(self.device, torch.bfloat16, enabled=self.mixed):
            _, reconstructions = self.module.codec(self.images, self.iterations)
            loss = self.module.loss(reconstructions, self.images).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def __str__(self) -> str:
        return f"{len(self.images)} patches a step, {'compiled' if self.compiled else 'eager'}"

    def speed(self, repeats: int) -> float:
        """Patches a second."""
        return len(self.images) / seconds(self, self.device, repeats)

    def cost(self) -> tuple[float, float]:
        """FLOPs, and bytes kept for the backward pass, a patch; of an eager step."""
        weights = {parameter.untyped_storage().data_ptr() for parameter in self.module.parameters()}
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with FlopCounterMode(display=False) as counter, saved_tensors_hooks(keep, lambda tensor: tensor):
            self()
        return counter.get_total_flops() / len(self.images), sum(kept.values()) / len(self.images)


def print_speed(step: Step, flops: float, peak: float, repeats: int) -> float:
    """Measure and print patches a second, from the ``flops`` of a patch and the ``peak`` FLOP/s of the matrix
    product."""
    speed = step.speed(repeats)
    print(f"{step}: {speed:,.1f} patches/s, {speed * flops / peak:.0%} of the product's speed", flush=True)
    return speed


def composed(overrides: Sequence[str]) -> DictConfig:
    """The config that train.py makes of ``overrides``."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", ["name=benchmark", "folder=unused", *overrides])


def seconds(action: Callable[[], object], device: str, repeats: int) -> float:
    """The shortest of ``repeats`` times, after one that is not counted."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        action()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def matmul_peak(device: str) -> float:
    """FLOP/s of a bf16 product of two square matrices."""
    size = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device=device) for _ in range(2))
    return 2 * size**3 / seconds(lambda: a @ b, device, repeats=10)


def estimate(flops: float, kept: float, parameters: int, options: argparse.Namespace) -> str:
    """The speed and the largest batch to expect on a device with the TFLOP/s and the GiB of ``options.estimate``."""
    tflops, gib = options.estimate
    patches = options.share * tflops * 1e12 / flops
    fitting = (gib * 2**30 - STATE * parameters) / kept
    return (
        f"with {tflops:g} TFLOP/s in the product, {options.share:.0%} of it used: {patches:,.0f} patches/s, "
        f"{patches * 60 * options.minutes / 1e6:.2f} million in {options.minutes:g} minutes\n"
        f"in {gib:g} GiB, {STATE} bytes a parameter and no workspace counted: at most {fitting:,.0f} patches a step"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="options of train.py")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--estimate", type=float, nargs=2, metavar=("TFLOPS", "GIB"))
    parser.add_argument(
        "--share", type=float, default=0.4, help="of the speed of the product that training is estimated to reach"
    )
    parser.add_argument("--minutes", type=float, default=25, help="of training, in the estimate")
    options = parser.parse_intermixed_args()
    torch.set_num_threads(options.threads)
    config = composed(options.overrides)
    size = config.data.patch_size

    step = Step(config, min(options.batch_sizes), options.device)
    parameters = sum(parameter.numel() for parameter in step.module.codec.parameters())
    flops, kept = step.cost()
    print(
        f"{config.model.encoder_cell}, width {config.model.width}, {config.iterations} iterations: "
        f"{parameters / 1e6:.1f} M parameters\n"
        f"a patch of {size}×{size}: {flops / 1e9:,.1f} GFLOP, {kept / 2**20:,.0f} MiB kept for the backward pass"
    )
    if options.estimate:
        print(estimate(flops, kept, parameters, options))
    peak = matmul_peak(options.device)
    print(f"bf16 matrix product, {options.device}, {options.threads} threads: {peak / 1e9:,.0f} GFLOP/s")
    for batch_size in options.batch_sizes:
        for compiled in sorted({False, resolve_compile(config.compile, options.device)}):
            print_speed(Step(config, batch_size, options.device, compiled), flops, peak, options.repeats)


if __name__ == "__main__":
    main()
