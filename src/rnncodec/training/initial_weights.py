"""Training that starts from the weights of an earlier run."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from rnncodec.codec import IterativeCodec
from rnncodec.errors import ConfigurationError
from rnncodec.model_file import load_model

# Options of the network that may change from one run to the next, because the same weights fit.
FREE = ("binarizer", "priming", "diffusion", "encoder_hidden_kernels", "decoder_hidden_kernels")


def load_initial_weights(codec: IterativeCodec, weights: str) -> None:
    """Give ``codec`` the weights that ``weights`` names: a released name, a weights file or a run's folder.

    The config of both networks must be the same, but for the options in FREE. A convolution of the states may have a
    larger kernel than before; it starts as the smaller one with zeros around.

    Raises:
        ConfigurationError: the file holds another network.
        ModelError: there is no such file, or it cannot be read.
    """
    start = load_model(weights)
    wanted = codec.config
    kernels = [config.encoder_hidden_kernels + config.decoder_hidden_kernels for config in (start.config, wanted)]
    shrinks = any(old > new for old, new in zip(*kernels, strict=True))
    if shrinks or replace(start.config, **{name: getattr(wanted, name) for name in FREE}) != wanted:
        raise ConfigurationError(f"{weights} holds another network than the one asked for: {start.config}")
    shapes = {name: tensor.shape for name, tensor in codec.state_dict().items()}
    codec.load_state_dict({name: padded(tensor, shapes[name]) for name, tensor in start.state_dict().items()})


def padded(tensor: Tensor, shape: torch.Size) -> Tensor:
    """``tensor`` with zeros around its kernel (the last two dimensions), so that it has the given ``shape``."""
    margins = [(new - old) // 2 for old, new in zip(tensor.shape, shape, strict=True)]
    return functional.pad(tensor, [margin for margin in reversed(margins) for _ in range(2)])
