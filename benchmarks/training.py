"""Training throughput: patches/s of whole training steps, and their share of a bf16 matrix product's speed.

python benchmarks/training.py
python benchmarks/training.py --model residual_gru --width 1 --iterations 16 --threads 1
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from rnncodec.cells import CELLS
from rnncodec.codec import CodecConfig, IterativeCodec
from rnncodec.training.losses import L1

# The names of the networks measured by default: what the paper trains, and the released "small".
NETWORKS = [("residual_gru", 1.0, 16), ("gru", 0.25, 8)]


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


def matmul_peak(device: str, size: int) -> float:
    """FLOP/s of a bf16 product of two square matrices."""
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device=device) for _ in range(2))
    return 2 * size**3 / seconds(lambda: a @ b, device, repeats=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(CELLS))
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--iterations", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    networks = [(options.model, options.width, options.iterations)] if options.model else NETWORKS
    peak = matmul_peak(options.device, 8192 if options.device == "cuda" else 2048)
    print(f"bf16 matrix product, {options.device}, {options.threads} threads: {peak / 1e9:,.0f} GFLOP/s")
    for cell, width, iterations in networks:
        flops, taken = measure_step(cell, width, iterations, options)
        print(
            f"{cell}, width {width}, {iterations} iterations: {options.batch_size / taken:,.1f} patches/s, "
            f"{flops / options.batch_size / 1e9:.1f} GFLOP a patch, {flops / taken / peak:.0%} of the product's speed"
        )


def measure_step(cell: str, width: float, iterations: int, options: argparse.Namespace) -> tuple[int, float]:
    """The FLOPs of a training step, and its seconds."""
    config = CodecConfig(encoder_cell=cell, decoder_cell=cell, width=width)
    codec = IterativeCodec(config).to(options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if options.compile:
        codec.encode_step = torch.compile(codec.encode_step)
        codec.decode_step = torch.compile(codec.decode_step)
    optimizer, loss = torch.optim.Adam(codec.parameters()), L1()
    images = torch.rand(options.batch_size, 3, 32, 32, device=options.device).to(memory_format=torch.channels_last)

    def step() -> None:
        with torch.autocast(options.device, torch.bfloat16):
            value = loss(codec(images, iterations), images).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops(), seconds(step, options.device, options.repeats)


if __name__ == "__main__":
    main()
