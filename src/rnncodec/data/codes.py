"""The training data of a context model: the codes that a trained codec makes of patches and photos."""

import math
from collections.abc import Iterator
from itertools import count, islice

import lightning as L
import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from rnncodec.data.datamodule import MOST, PatchDataModule
from rnncodec.data.eight_bits import from_eight_bits
from rnncodec.data.loader import Batches, EpochLoader
from rnncodec.errors import ConfigurationError
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.options import is_whole

SEGMENT = 1000  # batches


class CodesDataModule(L.LightningDataModule):
    """Batches of codes, int8 ``[iterations, batch_size, bits, h, w]``, of the patches and photos of ``photos``.

    Encoding a patch takes longer than many training steps on its codes. So ``patches`` patches, divided among the
    ranks, are encoded once, before the first step. Their codes stay in memory, and each step draws its batch from them.

    Raises:
        ConfigurationError: ``patches`` is not a whole number in its range, or ``photos`` has a schedule of sizes.
    """

    def __init__(self, photos: PatchDataModule, codec: IterativeCodec, *, iterations: int, patches: int) -> None:
        super().__init__()
        if not is_whole(patches, 1, MOST):
            raise ConfigurationError(f"patches must be a whole number from 1 to {MOST}, not {patches}")
        if len(photos.growth) > 1:
            raise ConfigurationError(
                f"data.growth={photos.growth} needs one factor here: all patches are encoded before the first step"
            )
        self.photos = photos
        self.codec = codec.eval()
        self.iterations = iterations
        self.patches = patches

    def train_dataloader(self) -> EpochLoader:
        trainer = self.trainer
        assert trainer is not None
        self.photos.trainer = trainer
        stream = Batches(self.photos.train_dataloader().stream)
        batches = math.ceil(self.patches / trainer.world_size / self.photos.batch_size)
        loader: DataLoader[Tensor] = DataLoader(stream, batch_size=None, num_workers=self.photos.num_workers)
        codes = torch.cat([self._encode(images) for images in self._shown(islice(loader, batches), batches)], dim=1)
        drawn = CodeStream(codes, self.photos.batch_size, self.photos.seed, trainer.global_rank)
        return EpochLoader(
            drawn,
            steps=self.photos.steps_per_epoch,
            total_steps=trainer.max_steps,
            batches_per_step=trainer.accumulate_grad_batches,
            num_workers=0,
            pin_memory=False,
        )

    def val_dataloader(self) -> DataLoader[Tensor]:
        self.photos.trainer = self.trainer
        crops = self.photos.val_dataloader()
        codes = [self._encode(images) for images in self._shown(iter(crops), len(crops))]
        return DataLoader(codes, batch_size=None)  # type: ignore[arg-type]

    @property
    def corrupt(self) -> int:
        """The number of broken photos and shards that this rank has met."""
        return self.photos.corrupt

    @torch.inference_mode()
    def _encode(self, images: Tensor) -> Tensor:
        """The codes of images, uint8 ``[B, 3, H, W]``, on the CPU."""
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        return self.codec.to(device).encode(from_eight_bits(images.to(device)), self.iterations).cpu()

    def _shown(self, batches: Iterator[Tensor], total: int) -> Iterator[Tensor]:
        assert self.trainer is not None
        yield from track(batches, "encoding photos", total, transient=True, disable=not self.trainer.is_global_zero)


class CodeStream:
    """Endless batches ``[T, batch_size, bits, h, w]``, drawn at random from ``codes`` ``[T, N, bits, h, w]``. The seed,
    the start of the segment, the rank and the reader fix the draws."""

    def __init__(self, codes: Tensor, batch_size: int, seed: int, rank: int) -> None:
        self.codes = codes
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank

    def segment(self, batch: int, readers: int) -> range:
        start = batch - batch % SEGMENT
        return range(start, start + SEGMENT)

    def batches(self, start: int, reader: int, readers: int, skip: int) -> Iterator[Tensor]:
        rng = np.random.default_rng([self.seed, start, self.rank * readers + reader])
        for number in count():
            drawn = torch.from_numpy(rng.integers(self.codes.shape[1], size=self.batch_size))
            if number >= skip:
                yield self.codes[:, drawn]
