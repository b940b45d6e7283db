"""An endless stream of batches of patches from shards. The seed fixes it; each rank and worker has its own."""

import warnings
from collections.abc import Iterator, Sequence
from itertools import count, islice

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from rnncodec.data.photos import read_photos
from rnncodec.data.sampling import Sampler
from rnncodec.data.schedule import value_at
from rnncodec.errors import DataError
from rnncodec.imaging import Pixels


class PatchStream(IterableDataset[torch.Tensor]):
    """Endless batches of patches, uint8 ``[batch_size / g², 3, g · patch_size, g · patch_size]``, where g is the value
    of the schedule ``growth`` at this epoch of ``epochs``.

    Each consumer (a worker of a rank) reads its own share of the shards or, if there are fewer shards than consumers,
    its own share of the photos of each shard. A photo is decoded once for ``patches_per_photo`` patches. A buffer of
    ``shuffle_buffer / g²`` patches mixes the patches of many photos. A broken photo or a truncated shard gives a
    warning, is counted in `corrupt`, and is skipped.
    """

    def __init__(
        self,
        shards: list[str],
        *,
        sampler: Sampler,
        patch_size: int,
        growth: Sequence[int],
        epochs: int,
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
        self.epochs = epochs
        self.batch_size = batch_size
        self.patches_per_photo = patches_per_photo
        self.shuffle_buffer = shuffle_buffer
        self.flip = flip
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self._corrupt = torch.zeros(1, dtype=torch.int64).share_memory_()  # workers count here too

    @property
    def corrupt(self) -> int:
        """The number of broken photos and shards so far, over all passes and workers of this rank."""
        return int(self._corrupt.item())

    def __iter__(self) -> Iterator[torch.Tensor]:
        worker = get_worker_info()
        workers = worker.num_workers if worker else 1
        consumer = self.rank * workers + (worker.id if worker else 0)
        rng = np.random.default_rng([self.seed, self.epoch, consumer])
        factor = value_at(self.growth, self.epoch / self.epochs)
        batch_size, buffer_size = self.batch_size // factor**2, -(-self.shuffle_buffer // factor**2)
        patches = self._patches(consumer, self.world_size * workers, self.patch_size * factor, rng)
        patches = self._shuffled(patches, buffer_size, rng)
        while True:
            batch = np.stack(list(islice(patches, batch_size)))
            if self.flip:
                mirrored = rng.random(batch_size) < 0.5
                batch[mirrored] = batch[mirrored, :, ::-1]
            yield torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))

    def _patches(self, consumer: int, consumers: int, size: int, rng: np.random.Generator) -> Iterator[Pixels]:
        """The patches of this consumer's photos, in endless passes over them."""
        for number in count():
            found = False
            for pixels in self._photos(consumer, consumers, size, number):
                found = True
                yield from self.sampler(pixels, size, self.patches_per_photo, rng)
            if not found:
                raise DataError(
                    f"a pass over {len(self.shards)} shards gave reader {consumer + 1} of {consumers} no photo of at "
                    f"least {size}×{size} pixels; use fewer workers or devices, or more photos"
                )

    def _photos(self, consumer: int, consumers: int, size: int, number: int) -> Iterator[Pixels]:
        """One pass over this consumer's photos. Each pass has its own order of the shards."""
        order = np.random.default_rng([self.seed, self.epoch, number]).permutation(len(self.shards))
        if by_shard := len(self.shards) >= consumers:
            order = order[consumer::consumers]
        photos = read_photos(
            (self.shards[at] for at in order), self._warn, lambda index: by_shard or index % consumers == consumer
        )
        return (pixels for pixels in photos if min(pixels.shape[:2]) >= size)

    def _warn(self, error: Exception) -> bool:
        self._corrupt += 1
        warnings.warn(f"skipped while reading shards: {error}", stacklevel=2)
        return True

    @staticmethod
    def _shuffled(patches: Iterator[Pixels], size: int, rng: np.random.Generator) -> Iterator[Pixels]:
        buffer = list(islice(patches, size))
        while True:
            at = int(rng.integers(size))
            yield buffer[at]
            buffer[at] = next(patches)
