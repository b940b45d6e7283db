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

from rnncodec.network.codec import STRIDE, Features, IterativeCodec
from rnncodec.network.reconstruction import LINEAR

# What the layers so far add up to. Where the pixels can be computed last: the sums of the features and, in each
# position, W [B, 1, h, w]. In other frameworks: the reconstruction alone, shifted by -½.
Sums = list[Tensor]


@torch.inference_mode()
def decode_last(codec: IterativeCodec, layers: Iterable[Tensor]) -> Tensor | None:
    """The last picture ``[B, 3, H, W]`` that `IterativeCodec.decode` gives for the codes ``[B, bits, h, w]`` of
    ``layers``; None if there are none."""
    sums: Sums | None = None
    states = None
    for t, codes in enumerate(layers):
        codes = codes.to(codec.normalization.scales().dtype)
        features, states = codec.decode_features(codes, states, t)
        sums = add(codec, sums, codes, features, t)
    return None if sums is None else reconstruct(codec, sums) + 0.5


def add(codec: IterativeCodec, sums: Sums | None, codes: Tensor, features: Features, t: int | Tensor) -> Sums:
    """The ``sums`` with iteration t, which has these ``codes`` and ``features``; the first is 0. None is 0
    everywhere."""
    if type(codec.reconstruction) in LINEAR:
        # The framework's update of the features gives their sum, that of 1 gives W.
        terms = [*features, torch.ones_like(codes[:, :1])]
        if sums is None:
            sums = [torch.zeros_like(term) for term in terms]
    else:
        terms = [codec.decoder.pixels(features)]
        if sums is None:
            batch, _, h, w = codes.shape
            sums = [codes.new_zeros(batch, 3, STRIDE * h, STRIDE * w)]
    amplification = codec.amplification(sums[0], t)
    return [codec.reconstruction(term, before, amplification) for term, before in zip(terms, sums, strict=True)]


def reconstruct(codec: IterativeCodec, sums: Sums) -> Tensor:
    """The reconstruction ``[B, 3, H, W]``, shifted by -½, that ``sums`` stand for."""
    if type(codec.reconstruction) not in LINEAR:
        return sums[0]
    *totals, weights = sums
    weight = weights[..., :1, :1]
    return weight * codec.decoder.pixels(tuple(total / weight for total in totals))
