"""The patches a second that shards give to one training process, for each number of loader workers.

python -m benchmarks.data data.train=data/train
python -m benchmarks.data data.train=data/train data.patch_size=64 data.sampling=random --workers 1 2 4 --seconds 20
"""

import argparse
import os
import time
from collections.abc import Sequence
from itertools import islice

from hydra.utils import instantiate
from torch.utils.data import DataLoader

from benchmarks.training import composed
from rnncodec.data.datamodule import PatchDataModule
from rnncodec.data.loader import Batches


def data_of(overrides: Sequence[str]) -> PatchDataModule:
    """The data of a training run with these options. It needs no photos for validation."""
    data: PatchDataModule = instantiate(composed(["data=shards", "data.val=${data.train}", *overrides]).data)
    return data


def speed(data: PatchDataModule, workers: int, seconds: float) -> tuple[float, float]:
    """The seconds before the first batch of each worker, and the patches a second after them."""
    stream = data.patch_stream(steps=10**9, batches_per_step=1, rank=0, world_size=1)
    started = time.perf_counter()
    batches = iter(DataLoader(Batches(stream), batch_size=None, num_workers=workers))
    for _ in islice(batches, max(1, workers)):
        pass
    first = time.perf_counter() - started
    started, count = time.perf_counter(), 0
    while time.perf_counter() < started + seconds:
        next(batches)
        count += 1
    return first, count * data.batch_size / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="options of train.py")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, os.cpu_count() or 1])
    parser.add_argument("--seconds", type=float, default=15)
    options = parser.parse_intermixed_args()
    data = data_of(options.overrides)
    print(
        f"{len(data.train_shards)} shards; patches of {data.patch_size}×{data.patch_size}, "
        f"{data.patches_per_photo} of a photo, {data.sampling}; {os.cpu_count()} cores"
    )
    for workers in options.workers:
        first, patches = speed(data, workers, options.seconds)
        print(f"{workers} workers: {patches:,.0f} patches/s, after {first:.1f} s", flush=True)


if __name__ == "__main__":
    main()
