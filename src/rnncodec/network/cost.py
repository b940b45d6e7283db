"""The cost of a network: its parameters, and its multiply–accumulates (MACs) for a pixel and iteration."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from rnncodec.network.codec import IterativeCodec
from rnncodec.network.config import CodecConfig

SIDE = 256  # pixels of the picture that the operations are counted for; a multiple of every stride


@dataclass(frozen=True)
class Cost:
    """``parameters`` of the whole network; ``encoder`` and ``decoder``: thousands of MACs for a pixel and an iteration
    after the first, of the convolutions, the extra runs of diffusion and the gain network included. The first iteration
    takes others, ``first_encoder`` and ``first_decoder``: it has no states to read, and the extra runs of priming. To
    encode a picture of several iterations both parts are needed, to decode it the decoder alone."""

    parameters: int
    encoder: float
    decoder: float
    first_encoder: float
    first_decoder: float

    def decoding(self, iterations: int) -> float:
        """Thousands of MACs for a pixel to decode so many iterations."""
        return self.first_decoder + (iterations - 1) * self.decoder

    def coding(self, iterations: int) -> float:
        """Thousands of MACs for a pixel to encode so many iterations, and to decode them."""
        return self.first_encoder + (iterations - 1) * self.encoder + self.decoding(iterations)

    def __str__(self) -> str:
        return (
            f"{self.parameters / 1e6:.2f} M parameters; encoder {self.encoder:.1f}, decoder {self.decoder:.1f} kMAC "
            "a pixel and iteration"
        )


@cache
def cost(config: CodecConfig) -> Cost:
    """Count the operations of a network of this ``config``. No weights are needed, and nothing is computed."""
    with torch.device("meta"), torch.inference_mode():
        codec = IterativeCodec(config).eval()
        images = torch.empty(1, 3, SIDE, SIDE)
        start = codec.start(images)
        activations, encoded = codec.encode_step(images, start)
        codes = codec.binarizer(activations)
        state = codec.decode_step(codes, encoded)
        gain = kilo_macs(lambda: codec.amplification(images, state.t))
        first_encoder, encoder = (kilo_macs(partial(codec.encode_step, images, each)) for each in (start, state))
        # A step of the decoder computes the gain of the next iteration, too.
        first_decoder, decoder = (kilo_macs(partial(codec.decode_step, codes, each)) for each in (encoded, state))
    parameters = sum(parameter.numel() for parameter in codec.parameters())
    return Cost(parameters, gain + encoder, decoder, gain + first_encoder, first_decoder)


def kilo_macs(action: Callable[[], object]) -> float:
    """Thousands of MACs a pixel that ``action`` takes on a picture of SIDE × SIDE pixels."""
    with FlopCounterMode(display=False) as counter:
        action()
    return counter.get_total_flops() / 2 / SIDE**2 / 1000  # a MAC is a product and a sum: two FLOPs
