"""A training run in a fixed time on a GPU: measures the cost of a step, trains as many steps as there is time for, and
evaluates the weights.

    python benchmarks/pack.py pack …                      # at home; on the machine, in a copy of the repository:
    python -m pip install --no-index --no-deps --no-build-isolation pack/wheels/*.whl -e .
    setsid nohup python -m benchmarks.half_hour pack outputs/full --minutes 28 >log 2>&1 &
    split -b 16M outputs/full/weights.safetensors "$OUT"/weights.part-    # at any time: the newest averaged weights
    cat weights.part-* >weights.safetensors               # at home again

Options of train.py, for the experiment release_full, follow the two folders.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.training import Step, composed, matmul_peak, print_speed
from rnncodec.training.process.device import resolve_compile

ROOT = Path(__file__).resolve().parents[1]
RESERVE = 120  # seconds for the measurement at the end


def fastest(overrides: Sequence[str], batch_sizes: Sequence[int], device: str) -> tuple[int, bool, float]:
    """The batch size, whether to compile, and the patches/s that come of both. Compiling takes a minute for each batch
    size, so that it is tried only where eager steps are fastest."""
    config = composed(overrides)
    flops, _ = Step(config, 1, device).cost()
    peak = matmul_peak(device)
    print(f"bf16 matrix product: {peak / 1e12:,.2f} TFLOP/s; a patch: {flops / 1e9:,.1f} GFLOP", flush=True)

    def speed(batch_size: int, compiled: bool) -> float:
        try:
            return print_speed(Step(config, batch_size, device, compiled), flops, peak, repeats=3)
        except torch.OutOfMemoryError:
            print(f"{batch_size} patches a step do not fit into memory", flush=True)
            return 0.0

    tried = [(speed(batch_size, compiled=False), batch_size, False) for batch_size in batch_sizes]
    if resolve_compile(config.compile, device):
        _, batch_size, _ = max(tried)
        tried.append((speed(batch_size, compiled=True), batch_size, True))
    patches, batch_size, compiled = max(tried)
    return batch_size, compiled, patches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, help="the folder that benchmarks/pack.py made")
    parser.add_argument("folder", type=Path, help="of the run, a new one")
    parser.add_argument("overrides", nargs="*", help="options of train.py")
    parser.add_argument("--minutes", type=float, required=True, help="for all of it")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--share", type=float, default=0.85, help="of the measured speed that training is planned with")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_intermixed_args()
    end = time.monotonic() + 60 * options.minutes - RESERVE
    overrides = ["experiment=release_full", *options.overrides]

    with ProcessPoolExecutor(1, get_context("spawn")) as process:  # the GPU's memory is free again when it ends
        found = process.submit(fastest, overrides, options.batch_sizes, options.device)
        batch_size, compiled, patches = found.result()
    left = end - time.monotonic()
    steps = int(options.share * left * patches / batch_size)
    print(f"{steps:,} steps of {batch_size} patches in the {left:.0f} seconds left", flush=True)
    weights = options.pack / "weights.safetensors"
    run(
        "train.py",
        *overrides,
        f"data.train={options.pack / 'train'}",
        f"data.val={options.pack / 'val'}",
        f"data.batch_size={batch_size}",
        f"compile={compiled}",
        f"trainer.max_steps={steps}",
        f"trainer.max_time='{time.strftime('00:%H:%M:%S', time.gmtime(left))}'",
        f"weights={weights if weights.exists() else 'null'}",
        f"hydra.run.dir={options.folder}",
    )
    run("evaluate.py", f"model={options.folder}", f"images={options.pack / 'images'}", f"device={options.device}")


def run(*command: str) -> None:
    if subprocess.run([sys.executable, *command], cwd=ROOT).returncode:
        sys.exit(f"{command[0]} failed")


if __name__ == "__main__":
    main()
