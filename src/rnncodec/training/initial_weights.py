"""Training that starts from the weights of an earlier run."""

from dataclasses import fields, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnncodec.entropy.networks import Network
from rnncodec.errors import ConfigurationError
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.projection import Projection, own_index
from rnncodec.weights.weights_file import load_model

# Options of the network that may change from one run to the next, because the same weights fit, or can be made to.
FREE = (
    "binarizer", "priming", "diffusion", "encoder_hidden_kernels", "decoder_hidden_kernels", "projections",
    "linear_path", "settled_psnr",
)  # fmt: skip

SIZES = ("encoder_hidden_kernels", "decoder_hidden_kernels", "projections", "linear_path")  # those that may only grow


def load_initial_weights(codec: IterativeCodec, weights: str) -> None:
    """Give ``codec`` the weights that ``weights`` names: a released name, a weights file or a run's folder.

    The config of both networks must be the same, but for the options in FREE. A convolution of the states may have a
    larger kernel than before; it starts as the smaller one with zeros around. More iterations may have projections of
    their own than before; the new ones start as the last of the old ones. A linear path may be new; it starts at zero.
    So the codes and the pictures are the same at the start.

    Raises:
        ConfigurationError: the file holds another network.
        ModelError: there is no such file, or it cannot be read.
    """
    start = load_model(weights)
    wanted = codec.config
    sizes = [
        (*config.encoder_hidden_kernels, *config.decoder_hidden_kernels, config.projections, config.linear_path)
        for config in (start.config, wanted)
    ]
    shrinks = any(old > new for old, new in zip(*sizes, strict=True))
    if shrinks or replace(start.config, **{name: getattr(wanted, name) for name in FREE}) != wanted:
        other = ", ".join(
            f"{field.name} is {getattr(start.config, field.name)} there and {getattr(wanted, field.name)} here"
            for field in fields(wanted)
            if getattr(start.config, field.name) != getattr(wanted, field.name)
            and ((shrinks and field.name in SIZES) or field.name not in FREE)
        )
        raise ConfigurationError(f"{weights} holds another network than the one asked for: {other}")
    if codec.decoder.linear_path is not None and start.decoder.linear_path is None:
        start_at_zero(codec, start.binarizer.conv.in_channels)
    for name, projection in start.named_modules():
        if isinstance(projection, Projection):
            extend(projection, cast(Projection, codec.get_submodule(name)))
    random = codec.state_dict()
    tensors = {name: padded(tensor, random[name].shape) for name, tensor in start.state_dict().items()}
    codec.load_state_dict(random | tensors)


def load_initial_context(network: Network, start: Network) -> None:
    """Give the context model ``network`` the weights of ``start``, which may be one for another number of iterations.
    Iterations after those of ``start`` begin with the weights of its last one, by which it predicts them too."""
    tensors = start.state_dict()
    for name, random in network.state_dict().items():
        if tensors[name].shape != random.shape:
            tensors[name] = tensors[name][own_index(torch.arange(len(random)), len(tensors[name]))]
    network.load_state_dict(tensors)


@torch.no_grad()
def start_at_zero(codec: IterativeCodec, features: int) -> None:
    """Let the linear path of ``codec`` add nothing yet to what it codes, for which the encoder had so many ``features``
    without it, and to the pixels."""
    assert codec.decoder.linear_path is not None
    patterns = codec.decoder.linear_path.patterns
    assert patterns.bias is not None
    for values in (codec.binarizer.conv.weight[:, features:], patterns.weight, patterns.bias):
        nn.init.zeros_(values)


@torch.no_grad()
def extend(old: Projection, new: Projection) -> None:
    """Give ``old`` the iterations and the inputs of ``new``: its own come first, as they are; further iterations are
    its last one, and further inputs have the weights that they have in ``new``."""
    assert old.bias is not None
    own = own_index(torch.arange(new.iterations), old.iterations)
    bias = old.bias.unflatten(0, (old.iterations, -1))[own].flatten(0, 1)
    weight = old.weight.unflatten(0, (old.iterations, -1))[own].flatten(0, 1)
    weight = torch.cat([weight, new.weight[:, weight.shape[1] :]], dim=1)
    old.weight, old.bias = nn.Parameter(weight), nn.Parameter(bias)


def padded(tensor: Tensor, shape: torch.Size) -> Tensor:
    """``tensor`` with zeros around its kernel (the last two dimensions), so that it has the given ``shape``."""
    if tensor.shape == shape:
        return tensor
    assert tensor.shape[:-2] == shape[:-2]
    rows, columns = ((new - old) // 2 for old, new in zip(tensor.shape[-2:], shape[-2:], strict=True))
    return functional.pad(tensor, [columns, columns, rows, rows])
