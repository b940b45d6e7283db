"""Pictures of the iterations of one photo."""

import numpy as np
from PIL import Image
from torch import Tensor

AMPLIFICATION = 4.0  # of the residuals, around mid-grey


def strip(image: Tensor, reconstructions: Tensor) -> Image.Image:
    """The original, above; then a column for each iteration t: P[t], the reconstruction, over R[t], the residual left
    after it, amplified around mid-grey. ``image`` is ``[3, H, W]``, ``reconstructions`` ``[T, 3, H, W]``, in [0, 1].
    """
    residuals = AMPLIFICATION * (image - reconstructions) + 0.5
    grey = image.new_full(image.shape, 0.5)
    columns = [np.concatenate([_pixels(image), _pixels(grey)])]
    columns += [np.concatenate([_pixels(p), _pixels(r)]) for p, r in zip(reconstructions, residuals, strict=True)]
    return Image.fromarray(np.concatenate(columns, axis=1))


def _pixels(image: Tensor) -> np.ndarray:
    return (image.clamp(0.0, 1.0) * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()
