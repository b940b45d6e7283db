"""What a training run of several processes loses here, and what it is expected to lose on many GPUs.

python -m benchmarks.scaling experiment=light data.batch_size=8
python -m benchmarks.scaling experiment=release_full --only-compute --batch-sizes 64 256

Measures, on this CPU: patches/s of one process and of several, of one thread each, which exchange their gradients or
not; and the seconds of a validation, on random pictures. Computes: the bytes of the gradients and, by the formula of
docs/SCALING.md, the efficiency on 8 and on 64 GPUs. It assumes the patches/s of one GPU (--speed), and the GB/s between
GPUs of one machine (--inside) and for each GPU between machines (--between).
"""

import argparse
import logging
import socket
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from multiprocessing import get_context
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from benchmarks.training import Step, composed
from rnncodec.training.build import build_codec_module

MACHINE = 8  # GPUs


def speed(overrides: list[str], processes: int, steps: int, exchange: bool) -> float:
    """The patches a second of all ``processes`` together."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    run = partial(train, overrides=overrides, processes=processes, steps=steps, exchange=exchange, port=port)
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        seconds = max(pool.map(run, range(processes)))
    return processes * composed(overrides).data.batch_size * steps / seconds


def train(rank: int, overrides: list[str], processes: int, steps: int, exchange: bool, port: int) -> float:
    """The seconds that one of ``processes`` processes takes for ``steps`` steps, after one that is not counted."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=processes)
    config = composed(overrides)
    step = Step(config, config.data.batch_size, "cpu")
    codec = DistributedDataParallel(step.module.codec)
    step.module.codec = codec
    with nullcontext() if exchange else codec.no_sync():
        step()
        distributed.barrier()
        started = time.perf_counter()
        for _ in range(steps):
            step()
    seconds = time.perf_counter() - started
    distributed.destroy_process_group()
    return seconds


def validation_seconds(config: DictConfig) -> float:
    """The seconds of a validation of one process, on random pictures."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    module = build_codec_module(config)
    pictures = [torch.rand(3, config.data.val_crop, config.data.val_crop)] * config.data.val_photos
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    started = time.perf_counter()
    trainer = L.Trainer(accelerator="cpu", precision=config.trainer.precision, **quiet)
    trainer.validate(module, DataLoader(pictures, batch_size=1), verbose=False)  # type: ignore[arg-type]
    return time.perf_counter() - started


def efficiency(gpus: int, batch: int, gradients: int, options: argparse.Namespace) -> float:
    """The speed of ``gpus`` GPUs as a share of ``gpus`` times the speed of one, by the formula of docs/SCALING.md.

    Args:
        batch: patches a step on each GPU.
        gradients: bytes.
    """
    computing = batch / options.speed
    bandwidth = options.inside if gpus <= MACHINE else min(options.inside, options.between)
    exchanging = 2 * (gpus - 1) / gpus * gradients / (bandwidth * 1e9)
    return computing / (computing + exchanging)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="options of train.py")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10, help="that are measured")
    parser.add_argument("--only-compute", action="store_true", help="measure nothing")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64], help="patches a step on each GPU")
    parser.add_argument("--speed", type=float, default=6000, help="patches/s of one GPU")
    parser.add_argument("--inside", type=float, default=200, help="GB/s between the GPUs of a machine")
    parser.add_argument("--between", type=float, default=25, help="GB/s of each GPU between machines")
    options = parser.parse_intermixed_args()
    overrides = ["compile=false", "trainer.precision=32-true", *options.overrides]
    config = composed(overrides)
    parameters = sum(parameter.numel() for parameter in build_codec_module(config).codec.parameters())
    gradients = 4 * parameters
    print(f"gradients: {parameters:,} parameters, {gradients / 1e6:.1f} MB a step in float32")
    for batch in options.batch_sizes:
        for gpus in (MACHINE, 64):
            share = efficiency(gpus, batch, gradients, options)
            print(f"{gpus} GPUs, {batch} patches a step on each: {share:.0%} expected")
    if options.only_compute:
        return
    alone = speed(overrides, 1, options.steps, exchange=True)
    print(f"1 process: {alone:.1f} patches/s", flush=True)
    for exchange in (False, True):
        together = speed(overrides, options.processes, options.steps, exchange)
        share = together / (options.processes * alone)
        print(
            f"{options.processes} processes, gradients {'exchanged' if exchange else 'not exchanged'}: "
            f"{together:.1f} patches/s, {share:.0%}",
            flush=True,
        )
    seconds = validation_seconds(config)
    print(f"a validation, {config.data.val_photos} photos of {config.data.val_crop} pixels a side: {seconds:.1f} s")


if __name__ == "__main__":
    main()
