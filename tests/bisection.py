"""A network of any number of layers that improves with each of them, without training.

Its cells do nothing. Each block of 16×16 pixels is described by the coefficients of cosines, in three sets of 32 that
take turns: red, green and blue, each from low to high frequencies. A code says whether a coefficient of the residual is
positive. The network then adds or subtracts the scale of the layer, which falls when each set had its turn, nearly as
in the search by bisection.
"""

import math

import numpy as np
import torch

from rnncodec.network.codec import STRIDE, IterativeCodec
from tests.defaults import codec_config

SETS = 3
LARGEST, FALL = 3.0, 0.65  # the first scale, and by what it is multiplied when each set had its turn


def bisecting_codec(layers: int) -> IterativeCodec:
    torch.manual_seed(0)
    config = codec_config(
        encoder_cell="gru",
        decoder_cell="gru",
        encoder_channels=(64, 64),
        decoder_channels=(64, 64),
        encoder_hidden_kernels=(1,),
        decoder_hidden_kernels=(1,),
        projections=layers,
        linear_path=True,
        width=0.06,
    )
    codec = IterativeCodec(config).eval()
    path, project = codec.decoder.linear_path, codec.binarizer.conv
    assert path is not None
    patterns = torch.stack([cosines(config.bits, t % SETS) for t in range(layers)])  # [layers, bits, 3 · 256]
    with torch.no_grad():
        for parameter in (*codec.decoder.output.parameters(), *path.parameters(), *project.parameters()):
            parameter.zero_()
        path.strength.bias.fill_(math.log(math.e - 1.0))  # softplus makes it 1
        amplitudes = 1.0 / (1.0 + torch.tensor([sum(each) for each in frequencies(config.bits)])) ** 3
        weighted = patterns.transpose(1, 2) * amplitudes  # high frequencies are weak
        path.patterns.weight.copy_(weighted.reshape(path.patterns.weight.shape))
        project.weight[:, -patterns.shape[2] :, 0, 0] = patterns.flatten(0, 1)
        for t in range(len(codec.normalization.rms)):
            codec.normalization.rms[t] = LARGEST * FALL ** (t // SETS)
    codec.training_info = {"iterations": layers}
    return codec


def cosines(count: int, channel: int) -> torch.Tensor:
    """The ``count`` orthonormal patterns of the lowest frequencies in one channel: ``[count, 3 · 16²]``."""
    places = np.arange(STRIDE) + 0.5
    lines = np.cos(np.pi / STRIDE * places * np.arange(STRIDE)[:, None]) * math.sqrt(2 / STRIDE)
    lines[0] /= math.sqrt(2)
    found = np.zeros((count, 3, STRIDE, STRIDE), np.float32)
    found[:, channel] = [np.outer(lines[y], lines[x]) for y, x in frequencies(count)]
    return torch.from_numpy(found.reshape(count, -1))


def frequencies(count: int) -> list[tuple[int, ...]]:
    """The lowest, down and across."""
    return sorted(np.ndindex(STRIDE, STRIDE), key=lambda each: (sum(each), each))[:count]
