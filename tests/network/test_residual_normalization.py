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
    multiprocessing.spawn(update_on_a_rank, (str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert torch.equal(first, second)
    rms = ((3.0**2 + 4.0**2) / 2) ** 0.5
    torch.testing.assert_close(first, torch.full_like(first, 0.25 + MOMENTUM * (rms - 0.25)))


def test_steps_of_fewer_iterations_leave_the_scales_of_later_ones_alone() -> None:
    normalization = ResidualNormalization()
    normalization.update(torch.full((2, 1, 3, 16, 16), 1.0))
    assert (normalization.scales()[2:] == normalization.scales()[1]).all()  # the later ones were never trained
    residuals = torch.tensor([1.0, 0.5, 0.2, 0.1]).view(4, 1, 1, 1, 1).expand(4, 1, 3, 16, 16)
    normalization.update(residuals)
    before = normalization.scales()
    assert (before[4:] == before[3]).all()
    assert (before[:3] > before[1:4]).all()
    normalization.update(residuals[:2])
    after = normalization.scales()
    assert torch.equal(after[2:], before[2:])
    assert not torch.equal(after[:2], before[:2])
