"""The picture after the last of many layers, whose pixels are computed once.

Where the gain of the framework is one number, the same for every picture and pixel, the reconstruction is a weighted
sum of the decoder's outputs, and these are an affine function of its features, which lie on coarser grids
(`rnncodec.network.codec.Decoder`). In additive frameworks the weights are w_t = s_{t-1} / g_{t-1}, and

    x̂_T = Σ_t w_t D_t(b_t) = W pixels(Σ_t w_t features_t / W),  W = Σ_t w_t

So the features are summed, and the last convolution and depth-to-space run once. The picture differs from that of the
loop by rounding alone.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from rnncodec.network.codec import IterativeCodec
from rnncodec.network.reconstruction import LINEAR


@torch.inference_mode()
def decode_last(codec: IterativeCodec, layers: Iterable[Tensor]) -> Tensor | None:
    """The last picture ``[B, 3, H, W]`` that `IterativeCodec.decode` gives for the codes ``[B, bits, h, w]`` of
    ``layers``; None if there are none."""
    if type(codec.reconstruction) in LINEAR:
        return _decode_sum(codec, layers)
    picture = None
    for picture in codec.decode(layers):  # noqa: B007 (the last one counts)
        pass
    return picture


def _decode_sum(codec: IterativeCodec, layers: Iterable[Tensor]) -> Tensor | None:
    """The loop with features in place of pixels. The framework's update of them gives the sum, that of 1 gives W."""
    sums: list[Tensor] | None = None
    states = None
    for t, codes in enumerate(layers):
        features, states = codec.decode_features(codes.to(codec.normalization.scales().dtype), states, t)
        terms = [*features, torch.ones((), device=codes.device)]
        amplification = codec.amplification(features[0], t)
        sums = [
            codec.reconstruction(term, before, amplification)
            for term, before in zip(terms, sums or map(torch.zeros_like, terms), strict=True)
        ]
    if sums is None:
        return None
    *totals, weight = sums
    return weight * codec.decoder.pixels(tuple(total / weight for total in totals)) + 0.5
