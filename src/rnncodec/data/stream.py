"""An endless stream of batches of patches from shards. The seed fixes it; each rank and worker has its own."""

import sys
import warnings
from bisect import bisect
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from itertools import count, islice
from typing import NamedTuple

import numpy as np
import torch

from rnncodec.data.photos import decode, read_files, shorter_side
from rnncodec.data.sampling import Sampler
from rnncodec.errors import DataError, ImageError
from rnncodec.pictures.pixels import Pixels

SEGMENT = 8  # how many times the patches of all shuffle buffers a segment has
EMPTY_PASSES = 10  # in a row, without a photo for a reader, before this is an error


class PatchStream:
    """Endless batches of patches, uint8 ``[batch_size / g², 3, g · patch_size, g · patch_size]``, where g is given by
    ``growth``: a factor for each number of a batch from which it holds.

    Each consumer (a worker of a rank) reads its own share of the shards or, if there are fewer shards than consumers,
    its own share of the photos of each shard. A photo is decoded once for ``patches_per_photo`` patches. A buffer of
    ``shuffle_buffer / g²`` patches mixes the patches of many photos. The batches come in segments. A segment ends where
    g changes, or after SEGMENT times as many patches as all buffers hold. Then the buffers are filled anew. So a
    resumed run looks for its place within one segment, and few photos are decoded only to fill buffers. The length of a
    segment does not depend on the steps between two validations. A broken photo, and a shard that is truncated or has
    vanished, gives a warning, is counted in `corrupt`, and is skipped.
    """

    def __init__(
        self,
        shards: list[str],
        *,
        sampler: Sampler,
        patch_size: int,
        growth: dict[int, int],
        batch_size: int,
        patches_per_photo: int,
        shuffle_buffer: int,
        flip: bool,
        seed: int,
        rank: int,
        world_size: int,
    ) -> None:
        self.shards = shards
        self.sampler = sampler
        self.patch_size = patch_size
        self.growth = growth
        self.batch_size = batch_size
        self.patches_per_photo = patches_per_photo
        self.shuffle_buffer = shuffle_buffer
        self.flip = flip
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self._small = torch.zeros(1, dtype=torch.bool).share_memory_()
        self._corrupt = torch.zeros(1, dtype=torch.int64).share_memory_()  # workers count here too

    @property
    def corrupt(self) -> int:
        """The number of broken photos and shards so far, over all passes and workers of this rank."""
        return int(self._corrupt.item())

    def segment(self, batch: int, readers: int) -> range:
        starts = [*sorted(self.growth), sys.maxsize]
        part = bisect(starts, batch)
        length = SEGMENT * -(-self.shuffle_buffer * readers // self.batch_size)
        start = batch - (batch - starts[part - 1]) % length
        return range(start, min(start + length, starts[part]))

    def batches(self, start: int, reader: int, readers: int, skip: int) -> Iterator[torch.Tensor]:
        """The batches of one of the ``readers`` readers of this rank in the segment from ``start`` on, without its
        first ``skip``.

        The skipped batches are not decoded. All random choices are made as if they were, and only photos with patches
        in later batches are decoded. So the order of patches must not depend on what decoding finds: the patches of a
        broken photo have their places in the buffer, too. Where one of them is drawn, the next whole one is used.
        """
        consumer, consumers = self.rank * readers + reader, self.world_size * readers
        rng = np.random.default_rng([self.seed, start, consumer])
        factor = self.growth[max(begin for begin in self.growth if begin <= start)]
        batch_size, buffer_size = self.batch_size // factor**2, -(-self.shuffle_buffer // factor**2)
        places = self._places(start, consumer, consumers, self.patch_size * factor)

        waiting = list(islice(places, buffer_size))
        for _ in range(skip):
            for _ in range(batch_size):
                waiting[int(rng.integers(buffer_size))] = next(places)
            rng.random(batch_size)
        buffer = [place.patch() for place in waiting]
        del waiting
        while True:
            batch = np.empty((batch_size, self.patch_size * factor, self.patch_size * factor, 3), np.uint8)
            for index in range(batch_size):
                at = int(rng.integers(buffer_size))
                batch[index] = _whole(buffer, at, places)
                buffer[at] = next(places).patch()
            mirrored = rng.random(batch_size) < 0.5
            if self.flip:
                batch[mirrored] = batch[mirrored, :, ::-1]
            yield torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))

    def _places(self, start: int, consumer: int, consumers: int, size: int) -> Iterator["_Place"]:
        """The places of the patches of this consumer's photos, in endless passes over them. A consumer may have no
        photo in a pass, where the only shards of its share are broken."""
        empty = 0
        for number in count():
            found, corrupt = False, self.corrupt
            for index, (name, content) in enumerate(self._files(start, number, consumer, consumers)):
                try:
                    if shorter_side(name, content) < size:
                        self._warn_of_small(name, size)
                        continue
                except ImageError as error:
                    self._warn(error)
                    continue
                rng = np.random.default_rng([self.seed, start, consumer, number, index])
                photo = _Photo(name, content, partial(self._sample, size, rng), self._warn)
                yield from (_Place(photo, patch) for patch in range(self.patches_per_photo))
                found |= not photo.broken
            empty = 0 if found else empty + 1
            if empty == EMPTY_PASSES or (empty and self.corrupt == corrupt):
                raise DataError(
                    f"a pass over {len(self.shards)} shards gave reader {consumer + 1} of {consumers} no photo of at "
                    f"least {size}×{size} pixels; use fewer workers or devices, or more photos"
                )

    def _files(self, start: int, number: int, consumer: int, consumers: int) -> Iterator[tuple[str, bytes]]:
        """The names and the contents of this consumer's photos in a pass. Each pass has its own order of the shards. A
        segment may be shorter than a pass. So the first pass begins anywhere in its first shard, and ends with what it
        has left out there."""
        order = np.random.default_rng([self.seed, start, number]).permutation(len(self.shards))
        by_shard = len(self.shards) >= consumers
        shards = [self.shards[at] for at in (order[consumer::consumers] if by_shard else order)]
        first = 0
        if number == 0:
            photos = sum(1 for _ in read_files(shards[:1], lambda _: True))
            first = int(np.random.default_rng([self.seed, start, consumer, 0]).integers(max(1, photos)))

        def own(index: int) -> bool:
            return by_shard or index % consumers == consumer

        yield from read_files(shards, self._warn, lambda index: index >= first and own(index))
        if first:
            yield from read_files(shards[:1], lambda _: True, lambda index: index < first and own(index))

    def _warn_of_small(self, name: str, size: int) -> None:
        """Warn once of photos that are smaller than a patch."""
        if not self._small.item():
            self._small.fill_(True)
            warnings.warn(
                f"photos with a side of less than {size} pixels, the size of the patches, are left out: {name}",
                stacklevel=2,
            )

    def _sample(self, size: int, rng: np.random.Generator, pixels: Pixels) -> Pixels:
        return self.sampler(pixels, size, self.patches_per_photo, rng)

    def _warn(self, error: Exception) -> bool:
        self._corrupt += 1
        warnings.warn(f"skipped while reading shards: {error}", stacklevel=2)
        return True


class _Photo:
    """A photo that is decoded when the first of its patches is asked for."""

    def __init__(
        self, name: str, content: bytes, sample: Callable[[Pixels], Pixels], on_error: Callable[[Exception], bool]
    ) -> None:
        self.name = name
        self.content = content
        self.sample = sample
        self.on_error = on_error
        self.broken = False  # as far as is known

    @cached_property
    def patches(self) -> Pixels | None:
        """``[N, size, size, 3]``; None if the photo is broken."""
        try:
            return self.sample(decode(self.name, self.content))
        except ImageError as error:
            self.broken = True
            self.on_error(error)
            return None


class _Place(NamedTuple):
    """The place of one patch in the order of patches."""

    photo: _Photo
    number: int

    def patch(self) -> Pixels | None:
        """``[size, size, 3]``; None if its photo is broken."""
        patches = self.photo.patches
        return None if patches is None else patches[self.number]


def _whole(buffer: list[Pixels | None], at: int, places: Iterator[_Place]) -> Pixels:
    """The first patch in ``buffer``, from ``at`` on and around its end, that is not broken. If all are, patches from
    ``places`` replace the one at ``at`` until one is whole."""
    for patch in (*buffer[at:], *buffer[:at]) if buffer[at] is None else (buffer[at],):
        if patch is not None:
            return patch
    while (patch := next(places).patch()) is None:
        pass
    return patch
