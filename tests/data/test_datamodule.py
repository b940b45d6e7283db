import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from PIL import Image

from rnncodec.data.datamodule import PatchDataModule
from rnncodec.data.shards import write_shards
from rnncodec.errors import ConfigurationError, DataError
from rnncodec.pictures.pixels import Pixels
from tests.defaults import patches


@pytest.fixture
def module_of(shards_dir: Path) -> Callable[..., PatchDataModule]:
    def make(**options: Any) -> PatchDataModule:
        defaults: dict[str, Any] = {"train": str(shards_dir / "train"), "val": str(shards_dir / "val")}
        defaults |= {"batch_size": 4, "shuffle_buffer": 8, "steps_per_epoch": 3, "num_workers": 0}
        return patches(**(defaults | options))

    return make


def attach_trainer(module: PatchDataModule, **options: Any) -> None:
    module.trainer = lightning.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, **options
    )


@pytest.mark.parametrize("sampling", ["random", "high_entropy"])
def test_training_batches_are_as_configured(module_of: Callable[..., PatchDataModule], sampling: str) -> None:
    module = module_of(patch_size=48, sampling=sampling)
    attach_trainer(module, max_steps=5)
    assert module.corrupt == 0
    loader = module.train_dataloader()
    batches = [batch for _ in range(2) for batch in loader]
    assert len(batches) == 5
    assert all(batch.shape == (4, 3, 48, 48) and batch.dtype == torch.uint8 for batch in batches)
    assert module.corrupt == 0


def test_accumulated_batches_count_as_one_step(module_of: Callable[..., PatchDataModule]) -> None:
    module = module_of(steps_per_epoch=4)
    attach_trainer(module, max_steps=3, accumulate_grad_batches=2)
    loader = module.train_dataloader()
    assert [len(list(loader)) for _ in range(2)] == [6, 0]  # an epoch of four steps ends with the third


def test_smooth_patches_are_in_their_places_when_a_run_goes_on(module_of: Callable[..., PatchDataModule]) -> None:
    whole, resumed = module_of(smooth=0.5, patch_size=48), module_of(smooth=0.5, patch_size=48)
    for module in (whole, resumed):
        attach_trainer(module, max_steps=6)
    loader, later = whole.train_dataloader(), resumed.train_dataloader()
    batches = [batch for _ in range(2) for batch in loader]
    flat = [bool((patch == patch[:, :1, :1]).all()) for batch in batches for patch in batch]
    assert any(flat)
    assert not all(flat)
    later.load_state_dict({"batches": 4})
    assert all(torch.equal(one, other) for one, other in zip(batches[4:], later, strict=True))


@pytest.mark.filterwarnings("ignore:skipped")
def test_broken_photos_are_counted(module_of: Callable[..., PatchDataModule], shards_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.tar").write_bytes(b"broken")
    module = module_of(train=[str(tmp_path / "broken.tar"), str(shards_dir / "train")])
    attach_trainer(module, max_steps=3)
    list(module.train_dataloader())
    assert module.corrupt >= 1


@pytest.mark.parametrize(("crop", "expected"), [(176, (176, 176)), (192, (176, 192)), (256, (176, 240))])
def test_validation_is_on_the_middle_of_a_photo_in_multiples_of_16(
    module_of: Callable[..., PatchDataModule], photos: list[Pixels], crop: int, expected: tuple[int, int]
) -> None:
    (batch,) = module_of(val_crop=crop).val_dataloader()
    height, width = expected
    top, left = (180 - height) // 2, (240 - width) // 2
    assert batch.dtype == torch.uint8
    assert np.array_equal(batch[0].permute(1, 2, 0), photos[5][top : top + height, left : left + width])


@pytest.mark.parametrize(("ranks", "expected"), [(2, [[0, 2], [1]]), (3, [[0], [1], [2]]), (4, [[0, 1, 2]] * 4)])
def test_validation_photos_count_alike_however_many_ranks_share_them(
    module_of: Callable[..., PatchDataModule], shards_dir: Path, ranks: int, expected: list[list[int]]
) -> None:
    module = module_of(val=str(shards_dir / "train"), val_photos=3, val_crop=176)
    crops = module.val_crops()
    shares = []
    for rank in range(ranks):
        module.trainer = SimpleNamespace(global_rank=rank, world_size=ranks)  # type: ignore[assignment]
        shares.append(
            [
                next(n for n, crop in enumerate(crops) if torch.equal(crop, batch[0]))
                for batch in module.val_dataloader()
            ]
        )
    assert shares == expected


def test_validation_takes_the_first_photos(
    module_of: Callable[..., PatchDataModule], shards_dir: Path, photos: list[Pixels]
) -> None:
    loader = module_of(val=str(shards_dir / "train"), val_photos=3, val_crop=176).val_dataloader()
    for _ in range(2):
        assert [batch.shape for batch in loader] == [(1, 3, 176, 176)] * 3
    assert np.array_equal(next(iter(loader))[0].permute(1, 2, 0), photos[0][8:184, 16:192])


@pytest.mark.filterwarnings("ignore:skipped")
def test_small_and_broken_validation_photos_are_left_out(
    module_of: Callable[..., PatchDataModule], shards_dir: Path, tmp_path: Path
) -> None:
    for name, size in (("low", (300, 175)), ("narrow", (160, 300))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    write_shards([str(tmp_path / "*.png")], tmp_path / "small")
    (tmp_path / "broken.tar").write_bytes(b"broken")
    val = [str(tmp_path / "small"), str(tmp_path / "broken.tar"), str(shards_dir / "val")]
    assert len(module_of(val=val).val_dataloader()) == 1
    with pytest.raises(DataError, match="no photo of at least 176 pixels"):
        module_of(val=val[:2]).val_dataloader()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("sampling", "greedy"),
        ("smooth", 1.5),
        ("smooth", True),
        ("patch_size", 0),
        ("patch_size", 40),
        ("growth", []),
        ("growth", [0]),
        ("val_crop", 160),
        ("val_crop", 200),
        ("batch_size", 0),
        ("patches_per_photo", 0),
        ("shuffle_buffer", 0),
        ("steps_per_epoch", 0),
        ("val_photos", -1),
        ("num_workers", -1),
    ],
)
def test_an_option_that_cannot_work_is_named(
    module_of: Callable[..., PatchDataModule], option: str, value: object
) -> None:
    with pytest.raises(ConfigurationError, match=rf"data\.{option}\b.*{re.escape(str(value))}"):
        module_of(**{option: value})


def test_batches_of_larger_patches_must_come_out_even(module_of: Callable[..., PatchDataModule]) -> None:
    with pytest.raises(ConfigurationError, match="multiple of 9"):
        module_of(batch_size=12, growth=[1, 3])
    with pytest.raises(ConfigurationError, match=r"data\.batch_size must be a multiple of 4"):
        module_of(batch_size=9, growth=[2, 3])


@pytest.mark.parametrize("split", ["train", "val"])
def test_shards_that_do_not_exist_are_found_at_construction(
    module_of: Callable[..., PatchDataModule], split: str
) -> None:
    with pytest.raises(DataError, match="nowhere"):
        module_of(**{split: "nowhere/*.tar"})


@pytest.mark.parametrize(
    ("growth", "steps", "starts"),
    [([1, 1, 2], 1000, [0, 334, 667]), ([1, 2], 400, [0, 200]), ([1, 2, 2, 2], 9, [0, 3, 5, 7])],
)
def test_each_factor_holds_for_an_equal_part_of_the_steps(
    module_of: Callable[..., PatchDataModule], growth: list[int], steps: int, starts: list[int]
) -> None:
    data = module_of(batch_size=4, growth=growth, steps_per_epoch=500)
    attach_trainer(data, max_steps=steps, accumulate_grad_batches=2)
    data.train_dataloader()
    assert data.stream is not None
    assert data.stream.growth == {2 * start: factor for start, factor in zip(starts, growth, strict=True)}
