"""The precision in which the network runs on pictures.

In bfloat16 a processor that computes in it runs the network about twice as fast. A file must decode to nearly the same
pixels in both precisions, whichever it was written in. Therefore

- the convolutions have the same weights, rounded to bfloat16, in both;
- the sums and the states of the cells, the convolutions that give pixels, residuals, gains and reconstructions are in
  float32 in both.

``benchmarks/speed.py`` measures how pictures differ.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnncodec.network.codec import IterativeCodec


def fastest(device: torch.device) -> torch.dtype:
    """bfloat16 on a CPU that has instructions for it, else float32."""
    return torch.bfloat16 if device.type == "cpu" and multiplies_bfloat16() else torch.float32


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for it."""
    if hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    # Older torch has private functions alone. Where they are missing too, the network runs in float32.
    older = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in older)


def convert(codec: IterativeCodec, dtype: torch.dtype) -> None:
    """Let the convolutions of ``codec`` run in ``dtype``, with weights rounded to bfloat16. Those that give pixels, and
    those of the gain network, keep float32."""
    round_convolutions(codec)
    for module in _rounded(codec):
        for parameter in module.parameters(recurse=False):
            parameter.data = parameter.data.to(dtype)
        if isinstance(module, nn.Conv2d) and dtype != torch.float32:
            module.register_forward_pre_hook(_in_own_precision)
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1:
            module.register_forward_hook(_again_if_narrow)


def round_convolutions(codec: IterativeCodec) -> None:
    """Round to bfloat16 the weights that `convert` lets run in it. Their dtype stays."""
    for module in _rounded(codec):
        for parameter in module.parameters(recurse=False):
            parameter.data = parameter.data.bfloat16().to(parameter.dtype)


def _rounded(codec: IterativeCodec) -> Iterator[nn.Module]:
    """The modules of encoder, binarizer and decoder, without the convolutions that give pixels."""
    decoder = codec.decoder
    exact = [decoder.output] if decoder.linear_path is None else [decoder.output, decoder.linear_path.patterns]
    for part in (codec.encoder, codec.binarizer, decoder):
        yield from (module for module in part.modules() if module not in exact)


@torch.no_grad()
def round_weights(codec: IterativeCodec) -> None:
    """Round the weights of ``codec`` to values that bfloat16 and float16 both hold."""
    for parameter in codec.parameters():
        parameter.copy_(parameter.bfloat16().half())


def _in_own_precision(conv: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The input of a convolution in the precision of its weights. A cell of another package may give it the state in
    float32: in training, autocast allows that."""
    assert isinstance(conv, nn.Conv2d)
    picture, *others = inputs
    return picture.to(conv.weight.dtype), *others


def _again_if_narrow(conv: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    """The output of a convolution with a stride. If it is one column wide, it is computed again with zeros on the right
    of the input: oneDNN, in torch 2.13 for processors with AMX, leaves parts of such a column in bfloat16 unset."""
    if output.shape[-1] > 1:
        return output
    assert isinstance(conv, nn.Conv2d)
    return conv.forward(functional.pad(*inputs, (0, conv.stride[1])))[..., :1]
