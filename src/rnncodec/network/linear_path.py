"""The linear path from the codes to the pixels."""

from torch import Tensor, nn
from torch.nn import functional

from rnncodec.network.cells.sums import wide
from rnncodec.network.projection import Projection


class LinearPath(nn.Module):
    """Codes to pixels, each position to its own block of ``side`` × ``side`` pixels, without overlap.

    In iteration t a position with the codes b gets the block

        W_t (b ⊙ softplus(V_t f))

    where f are features of the decoder at this position. So each bit has a pattern of pixels of its own in each
    iteration, and the features say how strong it is: weak where the picture is smooth.
    """

    def __init__(self, bits: int, features: int, side: int, iterations: int) -> None:
        super().__init__()
        self.strength = Projection(features, bits, iterations)
        self.patterns = Projection(bits, 3 * side**2, iterations)
        if not self.patterns.weight.is_meta:  # torch would import its compiler for it, which takes seconds
            nn.init.normal_(self.patterns.weight, std=0.01)  # the rest of the decoder learns first

    def forward(self, codes: Tensor, features: Tensor, t: int | Tensor) -> Tensor:
        """``[B, bits, h, w]`` and ``[B, features, h, w]`` to the blocks as channels, which depth-to-space turns into
        pixels: ``[B, 3 · side², h, w]``, in iteration t; the first is 0."""
        strength = functional.softplus(wide(self.strength(features, t)))
        return self.patterns(codes * strength, t)
