"""The context models, by name.

A context model is a config, a network that trains, and a context that codes files (`contract.Context`):

- ``network(config)``: an nn.Module with the attribute ``config``. It maps codes ``[T, B, bits, h, w]`` in {-1, +1} to
  the logits of P(bit = 1), of the same shape. Each logit may depend only on bits that are coded earlier. With a second
  argument ``start`` it gives the logits from this iteration on.
- ``freeze(network)``: the context that codes files, from a trained network.
- ``thaw(context)``: a network whose logits are those of the context, with gradients.
- ``context(config, tensors)``: the same context, from the contents of a weights file.
- ``shapes(config)``: the shapes of these tensors, by name, found without making them. ``types`` are the names of the
  dtypes that they may have. A weights file with other tensors is refused before they are read.

To add one, write a file like ``binary_rnn.py``, name its parts in ``CONTEXTS``, and add a file to ``conf/context``.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rnncodec.entropy.binary_rnn import BinaryRNN, BinaryRNNConfig, BinaryRNNContext, freeze, thaw
from rnncodec.entropy.checkerboard import Checkerboard
from rnncodec.entropy.checkerboard_integers import TYPES, IntegerContext
from rnncodec.entropy.config import CheckerboardConfig, ContextConfig, RecurrentCheckerboardConfig
from rnncodec.entropy.interface import Context
from rnncodec.entropy.quantization import dequantize, dequantize_recurrent, quantize, quantize_recurrent
from rnncodec.entropy.recurrent_checkerboard import RecurrentCheckerboard
from rnncodec.entropy.recurrent_checkerboard_integers import RecurrentIntegerContext
from rnncodec.errors import ConfigurationError

Network = Checkerboard | RecurrentCheckerboard | BinaryRNN


class ContextModel(NamedTuple):
    """The parts of one context model."""

    config: type[ContextConfig]
    network: Callable[[Any], Network]
    freeze: Callable[[Any], Context]
    thaw: Callable[[Any], Network]
    context: Callable[[Any, Mapping[str, Any]], Context]
    shapes: Callable[[Any], dict[str, tuple[int, ...]]]
    types: tuple[str, ...]


CONTEXTS = {
    model.config.name: model
    for model in (
        ContextModel(
            CheckerboardConfig,
            Checkerboard,
            quantize,
            dequantize,
            IntegerContext,
            IntegerContext.shapes,
            TYPES,
        ),
        ContextModel(
            RecurrentCheckerboardConfig,
            RecurrentCheckerboard,
            quantize_recurrent,
            dequantize_recurrent,
            RecurrentIntegerContext,
            RecurrentIntegerContext.shapes,
            TYPES,
        ),
        ContextModel(
            BinaryRNNConfig,
            BinaryRNN,
            freeze,
            thaw,
            BinaryRNNContext,
            BinaryRNNContext.shapes,
            ("float32",),
        ),
    )
}


def context_config(values: Mapping[str, Any]) -> ContextConfig:
    """The config of the context model that ``values["name"]`` names, from the other values. The first weights files
    have no name: their model is the checkerboard.

    Raises:
        ConfigurationError: there is no such model, or an option has a wrong value.
    """
    options = dict(values)
    name = options.pop("name", CheckerboardConfig.name)
    if name not in CONTEXTS:
        raise ConfigurationError(f"unknown context model '{name}'; choose from {', '.join(CONTEXTS)}")
    return CONTEXTS[name].config.from_mapping(options)
