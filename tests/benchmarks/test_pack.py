from pathlib import Path

import pytest

from benchmarks.pack import pack, size


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Five training shards of 100 bytes, a validation shard, an image and weights of 50 bytes each."""
    names = {f"train/{n}.tar": 100 for n in range(5)} | {"val/0.tar": 50, "image.png": 50, "weights.safetensors": 50}
    for name, length in names.items():
        path = tmp_path / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode().ljust(length))
    return tmp_path / "sources"


@pytest.mark.parametrize(("limit", "shards"), [(250, 1), (349, 1), (350, 2), (649, 4), (10_000, 5)])
def test_a_pack_has_all_that_is_needed_and_as_many_shards_as_fit(
    sources: Path, tmp_path: Path, limit: int, shards: int
) -> None:
    folder = tmp_path / "pack"
    folder.mkdir()
    pack(folder, sources / "train", sources / "val", [sources / "image.png"], sources / "weights.safetensors", limit)
    packed = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    expected = {"val/0.tar", "images/image.png", "weights.safetensors", *(f"train/{n}.tar" for n in range(shards))}
    assert packed.keys() == expected
    assert packed["train/0.tar"].read_bytes() == (sources / "train/0.tar").read_bytes()
    assert size(folder) == 150 + 100 * shards <= limit


def test_what_is_packed_already_counts(sources: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pack"
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels" / "some.whl").write_bytes(bytes(90))
    pack(folder, sources / "train", sources / "val", [], None, limit=300)
    assert len(list((folder / "train").iterdir())) == 1


def test_a_pack_without_room_for_one_shard_says_how_much_is_missing(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    with pytest.raises(ValueError, match=r"no room for .*0\.tar in 120 bytes; 30 too many"):
        pack(tmp_path / "pack", sources / "train", sources / "val", [], None, limit=120)
