"""The context models, by name.

A context model is a config, a network that trains, and a context that codes files (`contract.Context`):

- ``network(config)``: an nn.Module from codes ``[T, B, bits, h, w]`` in {-1, +1} to the logits of P(bit = 1), of the
  same shape, each from the bits that are coded before it; with its ``config`` as an attribute.
- ``freeze(network)``: the context of a trained network; ``context(config, tensors)``: that in a weights file.

To add one, write a file beside these, its config in ``config.py``, name them in ``CONTEXTS``, and add a file to
``conf/context``.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rnncodec.entropy.binary_rnn import BinaryRNN, BinaryRNNContext, freeze
from rnncodec.entropy.checkerboard import Checkerboard
from rnncodec.entropy.config import BinaryRNNConfig, CheckerboardConfig, ContextConfig
from rnncodec.entropy.contract import Context
from rnncodec.entropy.integers import IntegerContext
from rnncodec.entropy.quantization import quantize
from rnncodec.errors import ConfigurationError

Network = Checkerboard | BinaryRNN


class ContextModel(NamedTuple):
    """What belongs to one name."""

    config: type[ContextConfig]
    network: Callable[[Any], Network]
    freeze: Callable[[Any], Context]
    context: Callable[[Any, Mapping[str, Any]], Context]


CONTEXTS = {
    model.config.name: model
    for model in (
        ContextModel(CheckerboardConfig, Checkerboard, quantize, IntegerContext),
        ContextModel(BinaryRNNConfig, BinaryRNN, freeze, BinaryRNNContext),
    )
}


def context_config(values: Mapping[str, Any]) -> ContextConfig:
    """The config of the context model that ``values["name"]`` names, from the other values; unnamed, it is the
    checkerboard, as in files from before there was another.

    Raises:
        ConfigurationError: there is no such model, or an option of it cannot work.
    """
    options = dict(values)
    name = options.pop("name", CheckerboardConfig.name)
    if name not in CONTEXTS:
        raise ConfigurationError(f"unknown context model '{name}'; choose from {', '.join(CONTEXTS)}")
    return CONTEXTS[name].config.from_mapping(options)
