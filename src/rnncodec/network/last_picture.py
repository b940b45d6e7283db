"""The picture after the last of many layers, whose pixels are computed once.

Where the gain of the framework is one number, the same for every picture and pixel, the reconstruction is a weighted
sum of the decoder's outputs, x̂_T = Σ_t w_t D_t(b_t). In additive frameworks w_t = s_{t-1} / g_{t-1}. The outputs are an
affine function of the decoder's features, which lie on coarser grids (`rnncodec.network.codec.Decoder`):

    D_t(b_t) = A h_t + c + blocks_t(a_t)

where h_t is the output of the last cell, A is depth-to-space and the last convolution, c is its bias, and a_t are the
amplitudes of the linear path. So A runs once:

    x̂_T = A (Σ_t w_t h_t) + c Σ_t w_t + Σ_t w_t blocks_t(a_t)

Where blocks may be settled (`rnncodec.network.settled`), w_t is 0 in those that send no bits in iteration t.
The picture differs from that of the loop by rounding alone.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.network.codec import Features, IterativeCodec
from rnncodec.network.reconstruction import LINEAR

# What the layers so far add up to. Where the pixels can be computed last: Σ_t w_t h_t; Σ_t w_t blocks_t, if there is a
# linear path; and in each position Σ_t w_t [B, 1, h, w]. In other frameworks: the reconstruction alone, shifted by -½.
Sums = list[Tensor]


@torch.inference_mode()
def decode_last(codec: IterativeCodec, layers: Iterable[Tensor]) -> Tensor | None:
    """The last picture ``[B, 3, H, W]`` that `IterativeCodec.decode` gives for the codes ``[B, bits, h, w]`` of
    ``layers``; None if there are none."""
    picture = None
    if type(codec.reconstruction) not in LINEAR:
        for picture in codec.decode(layers):  # noqa: B007 (the last one counts)
            pass
        return picture
    states = total = None
    weights: list[Tensor] = []
    amplitudes: list[Tensor] = []
    sent: list[Tensor] = []
    for t, codes in enumerate(layers):
        codes = codes.to(codec.normalization.scales().dtype)
        features, states = codec.decode_features(codes, states, t)
        amplification = codec.amplification(codes, t)
        zero, one = amplification.new_tensor([0.0, 1.0])
        # The framework's update of h_t gives their sum, that of 0 and 1 gives the weights.
        total = codec.reconstruction(features.cells, zero if total is None else total, amplification)
        weights = [codec.reconstruction(zero, each, amplification) for each in weights]
        weights.append(codec.reconstruction(one, zero, amplification))
        amplitudes += [] if features.amplitudes is None else [features.amplitudes]
        sent += [] if features.sent is None else [features.sent]
    if total is None:
        return None
    own = [weight * each for weight, each in zip(weights, sent, strict=True)] if sent else weights
    picture = codec.decoder.unfold(total, torch.stack(own).sum(0))
    if codec.decoder.linear_path is not None:
        blocks = codec.decoder.linear_path.sum_of_blocks(amplitudes, weights, sent)
        picture += functional.pixel_shuffle(blocks, STRIDE)
    return picture.add_(0.5)


def add(codec: IterativeCodec, sums: Sums | None, codes: Tensor, features: Features, t: int | Tensor) -> Sums:
    """The ``sums`` with iteration t, which has these ``codes`` and ``features``; the first is 0. None is 0
    everywhere. A graph adds up sums, since it does not know how many layers will come."""
    if type(codec.reconstruction) in LINEAR:
        blocks = [] if codec.decoder.linear_path is None else [codec.decoder.blocks(features, t)]
        # The framework's update of h_t and blocks_t gives their sums, that of 1 gives Σ_t w_t.
        terms = [features.cells, *blocks, torch.ones_like(codes[:, :1]) if features.sent is None else features.sent]
        if sums is None:
            sums = [torch.zeros_like(term) for term in terms]
    else:
        terms = [codec.decoder.pixels(features, t)]
        if sums is None:
            batch, _, h, w = codes.shape
            sums = [codes.new_zeros(batch, 3, STRIDE * h, STRIDE * w)]
    amplification = codec.amplification(sums[0], t)
    return [codec.reconstruction(term, before, amplification) for term, before in zip(terms, sums, strict=True)]


def reconstruct(codec: IterativeCodec, sums: Sums) -> Tensor:
    """The reconstruction ``[B, 3, H, W]``, shifted by -½, that ``sums`` stand for."""
    if type(codec.reconstruction) not in LINEAR:
        return sums[0]
    cells, *blocks, weights = sums
    picture = codec.decoder.unfold(cells, weights if codec.decoder.settles else weights[0, 0, 0, 0])
    return picture + functional.pixel_shuffle(blocks[0], STRIDE) if blocks else picture
