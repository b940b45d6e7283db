"""The precision in which the network runs on pictures.

In bfloat16 a processor that computes in it runs the network about twice as fast. The encoder, the binarizer and the
decoder run in it; residuals, gains and reconstructions stay in float32. A file decodes to nearly the same pixels in
both; ``benchmarks/speed.py`` measures how they differ.
"""

import torch

from rnncodec.codec import IterativeCodec


def fastest(device: torch.device) -> torch.dtype:
    """bfloat16 on a CPU that has instructions for it, else float32."""
    if device.type != "cpu":
        return torch.float32
    # torch has no public functions for this.
    has_instructions = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if has_instructions else torch.float32


def convert(codec: IterativeCodec, dtype: torch.dtype) -> None:
    """Let the encoder, the binarizer and the decoder of ``codec`` run in ``dtype``."""
    for part in (codec.encoder, codec.binarizer, codec.decoder):
        part.to(dtype)
