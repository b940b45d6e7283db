"""The context models as networks, which are trained, by name.

A network is an nn.Module that maps codes ``[T, B, bits, h, w]`` in {-1, +1} to the logits of P(bit = 1), of the same
shape. Each logit may depend only on bits that are coded earlier. With a second argument ``start`` it gives the logits
from this iteration on. Those of rnncodec have the attribute ``config``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from rnncodec.entropy.binary_rnn import BinaryRNN
from rnncodec.entropy.checkerboard import Checkerboard
from rnncodec.entropy.config import BinaryRNNConfig, CheckerboardConfig, RecurrentCheckerboardConfig
from rnncodec.entropy.interface import ContextModel
from rnncodec.entropy.quantization import (
    dequantize_checkerboard,
    dequantize_recurrent,
    quantize_checkerboard,
    quantize_recurrent,
)
from rnncodec.entropy.recurrent_checkerboard import RecurrentCheckerboard

Network = nn.Module


class NetworkKind(NamedTuple):
    """A kind of context model as a network: ``network`` makes one with random weights from a config, ``quantize`` turns
    it into integers, and ``dequantize`` turns these into a network again. The last two are None if it codes no files.
    """

    network: Callable[[Any], Network]
    quantize: Callable[[Any], ContextModel] | None = None
    dequantize: Callable[[Any], Network] | None = None


NETWORKS = {
    CheckerboardConfig.name: NetworkKind(Checkerboard, quantize_checkerboard, dequantize_checkerboard),
    RecurrentCheckerboardConfig.name: NetworkKind(RecurrentCheckerboard, quantize_recurrent, dequantize_recurrent),
    BinaryRNNConfig.name: NetworkKind(BinaryRNN),
}


def name_of(network: Network) -> str | None:
    """The name of a network's kind; None for one of another package."""
    return next((name for name, kind in NETWORKS.items() if kind.network is type(network)), None)


def codes_files(network: Network) -> bool:
    """Whether networks of this kind code files. Others, and those of other packages, only measure bits."""
    name = name_of(network)
    return name is not None and NETWORKS[name].quantize is not None


def quantize(network: Network) -> ContextModel | None:
    """The context model that codes files, from a trained network; None if networks of this kind code none.

    Raises:
        ModelError: the weights are so large that sums of them would not be exact.
    """
    name = name_of(network)
    kind = None if name is None else NETWORKS[name]
    return None if kind is None or kind.quantize is None else kind.quantize(network)


def dequantize(context: ContextModel) -> Network:
    """A network in eval mode whose logits are those of ``context``, but for the rounding of activations; with
    gradients."""
    kind = NETWORKS[context.config.name]
    assert kind.dequantize is not None  # a context model was made by `quantize`
    return kind.dequantize(context)
