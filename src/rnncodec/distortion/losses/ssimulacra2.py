"""How people judge a compressed picture, as a loss."""

import torch
from torch import Tensor, nn

from rnncodec.distortion.ssimulacra2 import features, score, weights


class SSIMULACRA2(nn.Module):
    """``(100 - score) / 100`` of SSIMULACRA 2: 0 for equal pictures, 0.5 for medium quality, above 1 for very bad ones.

    From 128 pixels on it is the score that is measured (`rnncodec.distortion.ssimulacra2`). Smaller patches have fewer
    than its six scales: five at 64 pixels, four at 32. The terms of the others are left out, so that the loss is
    smaller. Near a score of -64 the published formula is flat: a network that has not learned anything learns little
    from this loss alone. Needs the package ssimulacra2.
    """

    def forward(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            terms = features(reconstructions.float(), images.float())  # [T, B, channels, scales, norms, errors]
            weighted = terms * weights(terms.dtype, terms.device)[:, : terms.shape[-3]]
            return (1.0 - score(weighted.sum(dim=(-4, -3, -2, -1))) / 100.0).mean(dim=1)
