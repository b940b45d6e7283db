"""What the processes of a training learn together: the scales of residuals."""

from pathlib import Path

import torch
from torch import distributed, multiprocessing

from rnncodec.network.residual_normalization import MOMENTUM, ResidualNormalization


def update_on_a_rank(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    normalization = ResidualNormalization()
    normalization.update(torch.full((2, 1, 3, 16, 16), [3.0, 4.0][rank]))
    torch.save(normalization.scales(), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_scales_are_of_the_batches_of_all_ranks(tmp_path: Path) -> None:
    multiprocessing.start_processes(  # type: ignore[no-untyped-call]
        update_on_a_rank, (str(tmp_path),), nprocs=2, start_method="forkserver"
    )
    scales, others = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert torch.equal(scales, others)
    rms = ((3.0**2 + 4.0**2) / 2) ** 0.5
    torch.testing.assert_close(scales, torch.full_like(scales, 0.25 + MOMENTUM * (rms - 0.25)))
