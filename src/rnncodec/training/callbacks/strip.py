"""Pictures of the iterations of one photo."""

import numpy as np
from PIL import Image
from torch import Tensor

from rnncodec.data.eight_bits import to_eight_bits
from rnncodec.pictures.pixels import Pixels, amplified_residual


def strip(image: Tensor, reconstructions: Tensor) -> Image.Image:
    """One column for the original, then one for each iteration t: the reconstruction P[t] above, and below it R[t], the
    residual that it leaves, amplified around mid-grey. ``image`` is ``[3, H, W]``, ``reconstructions``
    ``[T, 3, H, W]``, in [0, 1]."""
    original = _pixels(image)
    columns = [np.concatenate([original, np.full_like(original, 128)])]
    for reconstruction in map(_pixels, reconstructions):
        columns.append(np.concatenate([reconstruction, amplified_residual(original, reconstruction)]))
    return Image.fromarray(np.concatenate(columns, axis=1))


def _pixels(image: Tensor) -> Pixels:
    return to_eight_bits(image).permute(1, 2, 0).cpu().numpy()
