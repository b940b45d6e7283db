from pathlib import Path

from rnncodec.data.datamodule import PatchDataModule
from rnncodec.data.identity import dataset_identity
from rnncodec.data.samples import TRAIN, VAL, sample_photos, sample_shards
from rnncodec.data.urls import expand_shards
from tests.commands import SERVER
from tests.defaults import values

OPTIONS = {name: value for name, value in values("base/data.yaml").items() if name != "val_photos"} | {"seed": 0}


def test_sample_shards_are_made_on_first_use_alone(tmp_path: Path) -> None:
    module = sample_photos(tmp_path, **OPTIONS, val_photos=3)
    assert isinstance(module, PatchDataModule)
    assert module.val_photos == 3
    assert len(module.val_dataloader()) == len(VAL)
    tars = expand_shards([str(tmp_path / "train"), str(tmp_path / "val")])
    written = [Path(tar).stat().st_mtime_ns for tar in tars]
    sample_photos(tmp_path, **OPTIONS, val_photos=3)
    assert [Path(tar).stat().st_mtime_ns for tar in tars] == written


def test_sample_photos_are_not_validated_on_where_they_are_trained_on() -> None:
    assert not set(TRAIN) & set(VAL)


def test_two_processes_that_start_together_on_a_fresh_machine_have_the_same_shards(tmp_path: Path) -> None:
    processes = [SERVER.Process(target=sample_shards, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    for folder, photos in zip(sample_shards(tmp_path), (TRAIN, VAL), strict=True):
        assert dataset_identity(expand_shards([folder]))["photos"] == len(photos)
