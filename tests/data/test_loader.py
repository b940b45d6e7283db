from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader

from rnncodec.data.loader import EpochLoader
from rnncodec.data.photos import decode
from rnncodec.data.sampling import random_patches
from rnncodec.data.stream import PatchStream

LoaderOf = Callable[..., EpochLoader]


@pytest.fixture(scope="module")
def loader_of(flat_shards: Callable[[int], list[str]]) -> LoaderOf:
    def make(
        steps: int = 3, total_steps: int = 8, num_workers: int = 0, batches_per_step: int = 1, **options: Any
    ) -> EpochLoader:
        defaults: dict[str, Any] = {"sampler": random_patches, "patch_size": 16, "batch_size": 2}
        defaults |= {
            "growth": {0: 1},
            "patches_per_photo": 2,
            "shuffle_buffer": 4,
            "flip": True,
            "seed": 0,
            "rank": 0,
            "world_size": 1,
        }
        stream = PatchStream(flat_shards(4), **(defaults | options))
        return EpochLoader(
            stream, steps=steps, total_steps=total_steps, batches_per_step=batches_per_step,
            num_workers=num_workers, pin_memory=False,
        )  # fmt: skip

    return make


def all_batches(loader: EpochLoader) -> list[Tensor]:
    """To the end of training, as a trainer iterates: epoch after epoch."""
    batches = []
    while loader.batches < loader.total_batches:
        batches += list(loader)
    return batches


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(map(torch.equal, first, second))


@given(steps=st.integers(1, 5), total_steps=st.integers(1, 12))
def test_epochs_are_as_long_as_they_say_and_the_last_ends_with_training(
    loader_of: LoaderOf, steps: int, total_steps: int
) -> None:
    loader = loader_of(steps, total_steps)
    lengths = []
    while sum(lengths) < total_steps:
        lengths.append(len(loader))
        assert len(list(loader)) == lengths[-1]
    assert sum(lengths) == total_steps
    assert list(loader) == []
    assert all(length == steps for length in lengths[:-1])
    assert 1 <= lengths[-1] <= steps


def test_the_length_of_an_epoch_does_not_change_within_it(loader_of: LoaderOf) -> None:
    loader = loader_of(steps=3, total_steps=5)
    assert [len(loader) for _ in islice(loader, 2)] == [3, 3]
    resumed = loader_of(steps=3, total_steps=5)
    resumed.load_state_dict(loader.state_dict())
    assert len(resumed) == 3
    assert len(list(resumed)) == 1
    assert len(resumed) == 2


@given(interval=st.integers(1, 100))
@settings(max_examples=8)
def test_interval_between_validations_changes_no_batch(loader_of: LoaderOf, interval: int) -> None:
    assert equal(all_batches(loader_of(interval, 60)), all_batches(loader_of(60, 60)))


def test_photos_are_decoded_for_patches_and_hardly_for_the_shuffle_buffer(
    loader_of: LoaderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    monkeypatch.setattr(
        "rnncodec.data.stream.decode", lambda name, content: decoded.append(name) or decode(name, content)
    )
    trained = sum(map(len, all_batches(loader_of(steps=5, total_steps=200, shuffle_buffer=40))))
    assert len(decoded) / (trained / 2) < 1.25  # two patches of each photo


def test_every_epoch_is_another(loader_of: LoaderOf) -> None:
    loader = loader_of(steps=4, total_steps=8)
    first, second = list(loader), list(loader)
    assert not equal(first, second)


@given(broken_off=st.integers(0, 40))
@settings(max_examples=20)
def test_a_resumed_loader_gives_the_batches_of_an_unbroken_one(loader_of: LoaderOf, broken_off: int) -> None:
    options = {"total_steps": 40, "growth": {0: 1, 21: 2}, "batch_size": 4}  # segments from 0, 8, 16, 21, 29 and 37
    unbroken = all_batches(loader_of(**options))
    loader = loader_of(**options)
    seen: list[Tensor] = []
    while len(seen) < broken_off:
        seen += list(islice(loader, broken_off - len(seen)))
    resumed = loader_of(**options)
    resumed.load_state_dict(loader.state_dict())
    assert equal(seen + all_batches(resumed), unbroken)


def test_resuming_within_an_epoch_works_with_workers(loader_of: LoaderOf) -> None:
    unbroken = all_batches(loader_of(steps=5, num_workers=2))
    loader = loader_of(steps=5, num_workers=2)
    seen = list(islice(loader, 3))
    state = loader.state_dict()
    resumed = loader_of(steps=5, num_workers=2)
    resumed.load_state_dict(state)
    assert len(resumed) == 5
    assert len(rest := list(resumed)) == 2
    assert equal(seen + rest + all_batches(resumed), unbroken)


@pytest.mark.parametrize("broken_off", [1, 14, 16, 39, 41])
def test_each_worker_goes_on_with_its_own_batches(loader_of: LoaderOf, broken_off: int) -> None:
    growth = {0: 1, 39: 2}  # a segment of an odd number of batches
    options = {"total_steps": 43, "num_workers": 2, "growth": growth, "batch_size": 4}
    loader = loader_of(**options)
    loader.load_state_dict({"batches": broken_off})
    assert equal(all_batches(loader), all_batches(loader_of(**options))[broken_off:])


def test_workers_live_from_the_first_epoch_to_the_last(loader_of: LoaderOf, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr(
        "rnncodec.data.loader.DataLoader",
        lambda *arguments, **options: started.append(options) or DataLoader(*arguments, **options),
    )
    assert len(all_batches(loader_of(steps=2, total_steps=6, num_workers=1))) == 6
    assert len(started) == 1


def test_a_finished_loader_is_empty_after_resuming_too(loader_of: LoaderOf) -> None:
    loader = loader_of()
    all_batches(loader)
    resumed = loader_of()
    resumed.load_state_dict(loader.state_dict())
    assert list(resumed) == []


def test_epochs_hold_whole_steps_of_several_batches(loader_of: LoaderOf) -> None:
    loader = loader_of(steps=2, total_steps=3, batches_per_step=4)
    assert [len(loader), len(list(loader)), len(loader), len(list(loader))] == [8, 8, 4, 4]
