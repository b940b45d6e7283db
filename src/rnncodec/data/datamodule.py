"""The LightningDataModule: patches to train on, whole crops of photos to validate on."""

import warnings
from collections.abc import Sequence
from functools import partial
from itertools import islice

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from rnncodec.data.eight_bits import from_eight_bits
from rnncodec.data.loader import EpochLoader
from rnncodec.data.photos import read_photos
from rnncodec.data.sampling import SAMPLERS
from rnncodec.data.smooth import smooth_patches
from rnncodec.data.stream import PatchStream
from rnncodec.data.urls import expand_shards
from rnncodec.distortion.metrics import SMALLEST_SIDE
from rnncodec.errors import ConfigurationError, DataError
from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.network.options import is_real, is_whole
from rnncodec.pictures.pixels import Pixels

MOST_GROWTH = 64
MOST = 10**7  # the largest value of a whole-number option; more would not fit into memory


class PatchDataModule(L.LightningDataModule):
    """Batches are float in [0, 1], channels last in memory: ``[batch_size, 3, patch_size, patch_size]`` in training,
    ``[1, 3, val_crop, val_crop]`` in validation: the centre crop of a photo, or of a smaller photo as much as there is,
    in multiples of 16.

    Args:
        train, val: shards, in any form that `expand_shards` knows.
        patch_size, val_crop: pixels on a side, multiples of 16; val_crop at least 176.
        growth: a schedule of factors on ``patch_size``: one for each of equally long parts of the training, in whole
            steps.
        batch_size: patches a step on each rank. When ``growth`` makes the patches larger, a batch has fewer of them and
            as many pixels as before.
        patches_per_photo: how many patches are taken from a photo each time it is decoded.
        sampling: ``random`` or ``high_entropy``, see `rnncodec.data.sampling`.
        smooth: the share of patches that are replaced by smooth ones, see `rnncodec.data.smooth`.
        shuffle_buffer: the size, in patches, of the buffer that mixes the patches of many photos.
        steps_per_epoch: steps between two validations. The data goes on from one to the next.
        val_photos: the largest number of photos for validation.

    Raises:
        ConfigurationError, DataError: at construction, before any training.
    """

    def __init__(
        self,
        train: str | Sequence[str],
        val: str | Sequence[str],
        *,
        patch_size: int,
        growth: Sequence[int],
        batch_size: int,
        patches_per_photo: int,
        sampling: str,
        smooth: float = 0.0,  # configs of older runs lack it
        flip: bool,
        shuffle_buffer: int,
        steps_per_epoch: int,
        val_photos: int,
        val_crop: int,
        num_workers: int,
        seed: int,
    ) -> None:
        super().__init__()
        whole = {
            "patch_size": patch_size, "batch_size": batch_size, "patches_per_photo": patches_per_photo,
            "shuffle_buffer": shuffle_buffer, "steps_per_epoch": steps_per_epoch, "val_photos": val_photos,
            "val_crop": val_crop, "num_workers": num_workers,
        }  # fmt: skip
        for option, value in whole.items():
            if not is_whole(value, -MOST, MOST):
                raise ConfigurationError(f"data.{option} must be a whole number of at most {MOST}, not {value}")
        if not isinstance(flip, bool):
            raise ConfigurationError(f"data.flip must be true or false, not {flip}")
        if sampling not in SAMPLERS:
            raise ConfigurationError(f"unknown data.sampling '{sampling}'; choose from {', '.join(SAMPLERS)}")
        if not is_real(smooth, 0, 1):
            raise ConfigurationError(f"data.smooth must be from 0 to 1, not {smooth}")
        if patch_size < STRIDE or patch_size % STRIDE:
            raise ConfigurationError(f"data.patch_size must be a multiple of {STRIDE}, not {patch_size}")
        if val_crop < SMALLEST_SIDE or val_crop % STRIDE:
            raise ConfigurationError(
                f"data.val_crop must be a multiple of {STRIDE} from {SMALLEST_SIDE}, not {val_crop}"
            )
        factors = list(growth) if isinstance(growth, Sequence) else []
        if not factors or not all(is_whole(factor, 1, MOST_GROWTH) for factor in factors):
            raise ConfigurationError(f"data.growth needs a list of positive whole numbers, not {growth}")
        for factor in factors:
            if batch_size % factor**2:
                raise ConfigurationError(
                    f"data.batch_size must be a multiple of {factor**2}, so that batches of patches {factor} times as "
                    f"large have as many pixels, not {batch_size}"
                )
        positive = {"batch_size": batch_size, "patches_per_photo": patches_per_photo, "shuffle_buffer": shuffle_buffer}
        for option, value in (positive | {"steps_per_epoch": steps_per_epoch, "val_photos": val_photos}).items():
            if value < 1:
                raise ConfigurationError(f"data.{option} must be at least 1, not {value}")
        if num_workers < 0:
            raise ConfigurationError(f"data.num_workers must be at least 0, not {num_workers}")
        self.train_shards = expand_shards(train)
        self.val_shards = expand_shards(val)
        self.patch_size = patch_size
        self.growth = list(growth)
        self.batch_size = batch_size
        self.patches_per_photo = patches_per_photo
        self.sampling = sampling
        self.smooth = smooth
        self.flip = flip
        self.shuffle_buffer = shuffle_buffer
        self.steps_per_epoch = steps_per_epoch
        self.val_photos = val_photos
        self.val_crop = val_crop
        self.num_workers = num_workers
        self.seed = seed
        self.stream: PatchStream | None = None

    def patch_stream(self, steps: int, batches_per_step: int, rank: int, world_size: int) -> PatchStream:
        """The batches of one process, ``rank`` of ``world_size``, of a training of so many ``steps``."""
        parts = len(self.growth)
        starts = (-(-part * steps // parts) * batches_per_step for part in range(parts))
        sampler = SAMPLERS[self.sampling]
        return PatchStream(
            self.train_shards,
            sampler=partial(smooth_patches, sampler, self.smooth) if self.smooth else sampler,
            patch_size=self.patch_size,
            growth=dict(zip(starts, self.growth, strict=True)),
            batch_size=self.batch_size,
            patches_per_photo=self.patches_per_photo,
            shuffle_buffer=self.shuffle_buffer,
            flip=self.flip,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
        )

    def train_dataloader(self) -> EpochLoader:
        trainer = self.trainer
        assert trainer is not None
        self.stream = self.patch_stream(
            trainer.max_steps, trainer.accumulate_grad_batches, trainer.global_rank, trainer.world_size
        )
        return EpochLoader(
            self.stream,
            steps=self.steps_per_epoch,
            total_steps=trainer.max_steps,
            batches_per_step=trainer.accumulate_grad_batches,
            num_workers=self.num_workers,
            pin_memory=trainer.strategy.root_device.type == "cuda",
        )

    def val_dataloader(self) -> DataLoader[Tensor]:
        """This rank's share of the validation crops, or all of them if there are fewer crops than ranks. So each crop
        has the same weight in the means over all ranks. (A DistributedSampler would repeat some of them.)"""
        crops = self.val_crops()
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        if len(crops) >= ranks:
            crops = crops[rank::ranks]
        return DataLoader(crops, batch_size=1)  # type: ignore[arg-type]

    def val_crops(self) -> list[Tensor]:
        """The validation crops of all ranks, uint8 ``[3, H, W]``: of the first ``val_photos`` photos of which no side
        is under SMALLEST_SIDE.

        Raises:
            DataError: there is no such photo.
        """
        crops = list(islice(map(self._crop, filter(_is_large, read_photos(self.val_shards, _warn))), self.val_photos))
        if not crops:
            raise DataError(f"no photo of at least {SMALLEST_SIDE} pixels a side in {', '.join(self.val_shards)}")
        return crops

    def _crop(self, pixels: Pixels) -> Tensor:
        """The centre of a photo."""
        height, width = (min(self.val_crop, side // STRIDE * STRIDE) for side in pixels.shape[:2])
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        return torch.from_numpy(pixels[top : top + height, left : left + width].copy()).permute(2, 0, 1)

    def on_after_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> Tensor:
        return from_eight_bits(batch)  # loaders yield bytes, to move less

    @property
    def corrupt(self) -> int:
        """The number of broken photos and shards that this rank has met."""
        return self.stream.corrupt if self.stream else 0


def _is_large(pixels: Pixels) -> bool:
    return min(pixels.shape[:2]) >= SMALLEST_SIDE


def _warn(error: Exception) -> bool:
    warnings.warn(f"skipped while reading validation photos: {error}", stacklevel=2)
    return True
