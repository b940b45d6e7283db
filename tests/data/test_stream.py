import io
import tarfile
import warnings
from collections import Counter
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from rnncodec.data.loader import Batches
from rnncodec.data.photos import decode
from rnncodec.data.sampling import SAMPLERS
from rnncodec.data.stream import PatchStream

FlatShards = Callable[[int], list[str]]
PhotoNumbers = Callable[[Tensor], list[int]]


def stream_of(shards: list[str], **options: Any) -> PatchStream:
    """A stream without shuffling, one patch a photo: its patches are the photos in the order they are read."""
    defaults = {"sampler": SAMPLERS["random"], "patch_size": 16, "batch_size": 1, "patches_per_photo": 1}
    defaults |= {"growth": {0: 1}, "shuffle_buffer": 1, "flip": False, "seed": 0, "rank": 0, "world_size": 1}
    return PatchStream(shards, **(defaults | options))


def take(stream: PatchStream, batches: int, start: int = 0, skip: int = 0) -> Tensor:
    """The first batches of the only reader, in the segment that starts there."""
    return torch.stack(list(islice(stream.batches(start, 0, 1, skip), batches)))


# Batches


def test_batches_are_uint8_patches_channels_first(flat_shards: FlatShards) -> None:
    (batch,) = take(stream_of(flat_shards(4), batch_size=5, patch_size=32), 1)
    assert batch.shape == (5, 3, 32, 32)
    assert batch.dtype == torch.uint8


def test_patches_grow_and_batches_keep_their_pixels(flat_shards: FlatShards) -> None:
    stream = stream_of(flat_shards(4), batch_size=8, growth={0: 1, 13: 2})
    batches = list(islice(Batches(stream), 26))
    assert [tuple(batch.shape) for batch in batches] == [(8, 3, 16, 16)] * 13 + [(2, 3, 32, 32)] * 13


def test_every_photo_is_seen_once_in_a_pass(flat_shards: FlatShards, photo_numbers: PhotoNumbers) -> None:
    for batch in take(stream_of(flat_shards(5), batch_size=12), 3):
        assert sorted(photo_numbers(batch)) == list(range(12))


def test_a_photo_gives_as_many_patches_as_asked_for(flat_shards: FlatShards, photo_numbers: PhotoNumbers) -> None:
    stream = stream_of(flat_shards(5), batch_size=36, patches_per_photo=3)
    assert Counter(photo_numbers(take(stream, 1))) == dict.fromkeys(range(12), 3)


def test_segments_shorter_than_a_pass_see_all_photos(flat_shards: FlatShards, photo_numbers: PhotoNumbers) -> None:
    (only, *others) = flat_shards(12)
    assert not others
    stream = stream_of([only], batch_size=1)
    assert len(stream.segment(0, 1)) == 8
    seen = Counter(photo_numbers(torch.cat(list(islice(Batches(stream), 480)))))
    assert set(seen) == set(range(12))
    assert min(seen.values()) > 20  # of 40


def test_the_order_of_shards_changes_from_pass_to_pass(flat_shards: FlatShards, photo_numbers: PhotoNumbers) -> None:
    passes = take(stream_of(flat_shards(1), batch_size=12), 6)
    assert len({tuple(photo_numbers(batch)) for batch in passes}) > 1


@settings(max_examples=10)
@given(buffer=st.integers(1, 60), patches_per_photo=st.integers(1, 4))
def test_shuffling_mixes_photos_and_loses_none(
    flat_shards: FlatShards, photo_numbers: PhotoNumbers, buffer: int, patches_per_photo: int
) -> None:
    stream = stream_of(
        flat_shards(4), batch_size=12, patches_per_photo=patches_per_photo, shuffle_buffer=buffer, seed=3
    )
    seen = Counter(photo_numbers(take(stream, 30)))
    assert seen.total() == 360
    # Of all that was read, only what is in the buffer has not come out.
    read = (360 + buffer) / 12
    assert sum(read - times for times in seen.values()) == pytest.approx(buffer)
    assert set(seen) == set(range(12))


def test_a_shuffled_batch_holds_patches_of_many_photos(flat_shards: FlatShards, photo_numbers: PhotoNumbers) -> None:
    for buffer, expected in ((1, 2), (96, 6)):
        stream = stream_of(flat_shards(4), batch_size=16, patches_per_photo=8, shuffle_buffer=buffer)
        kinds = len(set(photo_numbers(take(stream, 1))))
        assert kinds == expected if buffer == 1 else kinds >= expected


def test_half_of_the_patches_are_mirrored_left_to_right(shards_dir: Path) -> None:
    shards = sorted(map(str, (shards_dir / "train").glob("*.tar")))
    plain, flipped = (take(stream_of(shards, batch_size=200, patch_size=16, flip=flip), 1)[0] for flip in (False, True))
    same = (plain == flipped).flatten(1).all(dim=1)
    mirrored = (plain.flip(-1) == flipped).flatten(1).all(dim=1)
    assert (same | mirrored).all()
    assert 60 < mirrored.sum() < 140


# The order of patches


@pytest.fixture(scope="module")
def shuffled(flat_shards: FlatShards) -> Callable[..., Tensor]:
    """Some batches of a shuffled stream over many shards; options and the segment can be changed."""

    def batches(start: int = 0, **options: Any) -> Tensor:
        stream = stream_of(flat_shards(2), batch_size=16, patches_per_photo=2, shuffle_buffer=20, flip=True, **options)
        return take(stream, 5, start)

    return batches


def test_the_same_seed_gives_the_same_batches(shuffled: Callable[..., Tensor]) -> None:
    assert torch.equal(shuffled(seed=5, start=24), shuffled(seed=5, start=24))


@pytest.mark.parametrize("change", [{"seed": 6}, {"start": 36}, {"rank": 1}], ids=["seed", "segment", "rank"])
def test_another_seed_segment_or_rank_gives_other_batches(
    shuffled: Callable[..., Tensor], change: dict[str, int]
) -> None:
    first = {"seed": 5, "start": 24, "rank": 0, "world_size": 2}
    assert not torch.equal(shuffled(**first), shuffled(**(first | change)))


@pytest.mark.filterwarnings("ignore:skipped")
@pytest.mark.parametrize("skip", [1, 7])
def test_skipped_batches_are_not_decoded_and_those_after_them_are_the_same(
    flat_shards: FlatShards, cut_off_image: str, skip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    monkeypatch.setattr(
        "rnncodec.data.stream.decode", lambda name, content: decoded.append(name) or decode(name, content)
    )
    stream = stream_of([*flat_shards(4), cut_off_image], batch_size=6, patches_per_photo=2, shuffle_buffer=5, flip=True)
    unbroken, whole = take(stream, skip + 2), len(decoded)
    decoded.clear()
    assert torch.equal(take(stream, 2, skip=skip), unbroken[skip:])
    assert len(decoded) <= whole - 3 * skip + 4  # a batch has the patches of three photos


# Ranks and workers

SHARES = pytest.mark.parametrize(
    ("shard_size", "consumers"),
    [(1, 2), (1, 3), (3, 2), (3, 4), (4, 3), (12, 2), (12, 3), (6, 4), (4, 6)],
    ids=lambda value: str(value),
)


@SHARES
def test_ranks_share_the_photos_of_a_pass(
    flat_shards: FlatShards, photo_numbers: PhotoNumbers, shard_size: int, consumers: int
) -> None:
    share = 12 // consumers
    seen = []
    for rank in range(consumers):
        stream = stream_of(flat_shards(shard_size), batch_size=share, rank=rank, world_size=consumers)
        seen.append(photo_numbers(take(stream, 1)))
    assert sorted(chain.from_iterable(seen)) == list(range(12))


def test_an_uneven_number_of_shards_is_shared_wholly(flat_shards: FlatShards, photo_numbers: PhotoNumbers) -> None:
    shards = flat_shards(4)
    seen = [
        photo_numbers(take(stream_of(shards, batch_size=share, rank=rank, world_size=2), 1))
        for rank, share in ((0, 8), (1, 4))
    ]
    assert sorted(chain.from_iterable(seen)) == list(range(12))


@pytest.mark.parametrize("shard_size", [1, 12], ids=["more shards than readers", "one shard"])
def test_workers_of_all_ranks_share_the_photos_of_a_pass(
    flat_shards: FlatShards, photo_numbers: PhotoNumbers, shard_size: int
) -> None:
    seen: list[int] = []
    for rank in range(2):
        stream = stream_of(flat_shards(shard_size), batch_size=3, rank=rank, world_size=2)
        batches = islice(
            DataLoader(Batches(stream), batch_size=None, num_workers=2), 2
        )  # one batch, a pass, from each worker
        seen += [photo_numbers(batch) for batch in batches]
    assert sorted(chain.from_iterable(seen)) == list(range(12))


# Errors


def tar_of(path: Path, files: dict[str, bytes]) -> str:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return str(path)


@pytest.fixture(scope="module")
def corrupt_image(flat_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A shard with photos 0 and 1, and between them one that is cut off, and a text."""
    files = {f"{number}.png": (flat_dir / f"{number:02d}.png").read_bytes() for number in range(2)}
    broken = files["0.png"][:60]
    return tar_of(
        tmp_path_factory.mktemp("broken") / "image.tar",
        {"0.png": files["0.png"], "05.png": broken, "07.json": b"{}", "1.png": files["1.png"]},
    )


@pytest.fixture(scope="module")
def cut_off_image(flat_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A shard with photo 0, and one whose header is whole, but not its pixels."""
    content = (flat_dir / "00.png").read_bytes()
    files = {"0.png": content, "1.png": content[:60]}
    return tar_of(tmp_path_factory.mktemp("broken") / "cut-off.tar", files)


@pytest.fixture(scope="module")
def truncated(flat_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A shard with photos 2 and 3 that breaks off in the middle of its third photo."""
    path = tmp_path_factory.mktemp("broken") / "truncated.tar"
    files = {f"{number}.png": (flat_dir / f"{number:02d}.png").read_bytes() for number in range(2, 6)}
    tar_of(path, files)
    with tarfile.open(path) as tar:
        end = tar.getmembers()[2].offset_data + 20
    path.write_bytes(path.read_bytes()[:end])
    return str(path)


def test_a_broken_photo_is_warned_of_counted_and_left_behind(corrupt_image: str, photo_numbers: PhotoNumbers) -> None:
    stream = stream_of([corrupt_image], batch_size=2)
    batches = stream.batches(0, 0, 1, 0)
    with pytest.warns(UserWarning, match=r"image\.tar: 05\.png"):
        assert sorted(photo_numbers(next(batches))) == [0, 1]
    assert stream.corrupt == 1
    with pytest.warns(UserWarning, match="05"):
        assert sorted(photo_numbers(next(batches))) == [0, 1]
    assert stream.corrupt == 2


def test_a_shard_that_breaks_off_is_warned_of_counted_and_left_behind(
    truncated: str, flat_shards: FlatShards, photo_numbers: PhotoNumbers
) -> None:
    stream = stream_of([truncated, flat_shards(4)[2]], batch_size=6)
    with pytest.warns(UserWarning, match="skipped while reading shards"):
        assert sorted(photo_numbers(take(stream, 1))) == [2, 3, 8, 9, 10, 11]
    assert stream.corrupt >= 1


@pytest.mark.filterwarnings("ignore:skipped")
@pytest.mark.parametrize("content", [b"", b"this is no tar" * 100])
def test_a_shard_that_is_no_tar_is_left_behind(
    content: bytes, tmp_path: Path, flat_shards: FlatShards, photo_numbers: PhotoNumbers
) -> None:
    (tmp_path / "none.tar").write_bytes(content)
    stream = stream_of([str(tmp_path / "none.tar"), str(tmp_path / "missing.tar"), flat_shards(4)[0]], batch_size=4)
    with pytest.warns(UserWarning, match=r"missing\.tar"):
        assert sorted(photo_numbers(take(stream, 2))) == sorted([0, 1, 2, 3] * 2)
    assert stream.corrupt >= 2


def test_broken_photos_that_workers_skip_are_counted(corrupt_image: str) -> None:
    stream = stream_of([corrupt_image, corrupt_image], batch_size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(list(islice(DataLoader(Batches(stream), batch_size=None, num_workers=2), 2))) == 2
    assert stream.corrupt >= 4


@pytest.mark.filterwarnings("ignore:skipped")
@pytest.mark.parametrize("files", [{}, {"a.png": b"broken"}, {"a.txt": b"no photo"}], ids=["empty", "broken", "text"])
def test_a_pass_without_a_usable_photo_is_an_error(files: dict[str, bytes], tmp_path: Path) -> None:
    stream = stream_of([tar_of(tmp_path / "useless.tar", files)])
    with pytest.raises(Exception, match="no photo of at least 16×16 pixels"):
        take(stream, 1)


@pytest.mark.filterwarnings("ignore:skipped")
def test_a_reader_whose_shards_have_vanished_waits_for_those_of_the_next_pass(
    flat_shards: FlatShards, tmp_path: Path, photo_numbers: PhotoNumbers
) -> None:
    vanished = [str(tmp_path / f"{number}.tar") for number in range(3)]
    stream = stream_of([*flat_shards(12), *vanished], batch_size=12, rank=1, world_size=4)  # one shard in a pass
    assert sorted(photo_numbers(take(stream, 2))[:12]) == list(range(12))
    assert stream.corrupt >= 1


@pytest.mark.filterwarnings("ignore:skipped")
def test_training_ends_when_all_shards_have_vanished(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="gave reader 1 of 1 no photo"):
        take(stream_of([str(tmp_path / "vanished.tar")]), 1)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_pass_with_only_small_photos_is_an_error(flat_shards: FlatShards, num_workers: int) -> None:
    stream = stream_of(flat_shards(12), patch_size=48)
    batches = iter(DataLoader(Batches(stream), batch_size=None, num_workers=num_workers))
    with pytest.raises(Exception, match="no photo of at least 48×48 pixels"):
        next(batches)
    if num_workers:
        batches._shutdown_workers()  # the garbage collector would take five seconds for it


def test_more_readers_than_photos_is_an_error_for_those_without(flat_shards: FlatShards) -> None:
    take(stream_of(flat_shards(12), rank=11, world_size=13), 1)
    with pytest.raises(Exception, match="reader 13 of 13"):
        take(stream_of(flat_shards(12), rank=12, world_size=13), 1)


def test_photos_smaller_than_a_patch_are_passed_over(
    tmp_path: Path, flat_shards: FlatShards, photo_numbers: PhotoNumbers
) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((15, 100, 3), np.uint8)).save(buffer, "PNG")
    small = tar_of(tmp_path / "small.tar", {"small.png": buffer.getvalue()})
    stream = stream_of([small, flat_shards(4)[1]], batch_size=4)
    with pytest.warns(UserWarning, match=r"side of less than 16 pixels.* are left out: .*small\.png") as warned:
        assert sorted(photo_numbers(take(stream, 2))) == sorted([4, 5, 6, 7] * 2)
    assert sum("are left out" in str(each.message) for each in warned) == 1
    assert stream.corrupt == 0
