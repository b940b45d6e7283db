"""Codes chosen for the picture at hand: the encoder searches for better codes than the network gives.

The format, the decoder and the weights stay as they are. So a file that was written with more effort decodes as fast as
any other.
"""

import math
from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional

from rnncodec.binarizer import sign
from rnncodec.codec import IterativeCodec, Search, Step
from rnncodec.entropy.contexts import Network
from rnncodec.entropy.cross_entropy import bits_per_bit
from rnncodec.limits import MOST_EFFORT
from rnncodec.losses import Decibels

TRIED = (1, 5, 15, 40)  # codes that are tried in each layer, those of the network first, by level of effort
assert len(TRIED) == MOST_EFFORT + 1
LEARNING_RATE = 0.01  # of Adam; activations are from -1 to 1, and a bit turns where its activation crosses 0

# What is minimised in layer t is D + WEIGHT / t^POWER · R, as in training: D is the loss `Decibels`, R are the bits of
# layers 1 to t under the context model, divided by the raw bits of one layer.
WEIGHT, POWER = 1.6, 1.15
DISTORTION = Decibels(share=0.9, fall=0.93)
PATCH = 256  # pixels on a side of a patch of the loss; all five scales of MS-SSIM fit into it

Layers = list[tuple[Tensor, Tensor]]  # codes [B, bits, h, w] and reconstruction [B, 3, H, W] of each


def search_codes(
    codec: IterativeCodec,
    network: Network | None,
    images: Tensor,
    iterations: int,
    effort: int,
    on_layer: Callable[[], object] = lambda: None,
) -> Layers:
    """The codes of the first ``iterations`` layers of images ``[B, 3, H, W]`` in [0, 1], and the reconstructions.

    The layers are searched one after the other: Adam moves the activations of the binarizer, with the gradient that
    training uses. Of the TRIED[effort] codes on the way the best are kept. In the end the mean of the loss over all
    layers is compared with that of the network's own codes, and the better of both are returned. ``network`` is the
    context model (`ContextModel.thaw`), or None if codes are not compressed. ``on_layer`` is called when a layer is
    found.
    """
    loss = CodesLoss(network, images)
    plain = layers_of(codec, images, iterations, None)
    found = layers_of(codec, images, iterations, LayerSearch(loss, TRIED[effort], on_layer))
    return min(plain, found, key=loss.mean)


@torch.no_grad()
def layers_of(codec: IterativeCodec, images: Tensor, iterations: int, search: Search | None) -> Layers:
    """The codes and reconstructions of the network, or of a ``search``."""
    return [(codes, picture()) for codes, picture in islice(codec.iterate(images, search), iterations)]


class CodesLoss:
    """The loss of codes ``[T, B, bits, h, w]`` after T layers, for ``images`` ``[B, 3, H, W]`` in [0, 1]."""

    def __init__(self, network: Network | None, images: Tensor) -> None:
        self.network = network
        self.images = images
        self.patches = patches(images)

    def __call__(self, reconstruction: Tensor, codes: Tensor, spent: Tensor) -> tuple[Tensor, Tensor]:
        """The loss after layer T, and the bits R of all layers. ``spent`` are those of the layers before."""
        t = len(codes)
        own = 1.0 if self.network is None else bits_per_bit(self.network, codes, start=t - 1)[0]
        bits = spent + own
        return self.distortion(reconstruction, t) + WEIGHT / t**POWER * bits, bits

    def distortion(self, reconstruction: Tensor, t: int) -> Tensor:
        """D, ``[]``, the mean over patches: to blur a whole photo would take long."""
        return DISTORTION(patches(reconstruction)[None], self.patches, start=t - 1)[0]

    @torch.no_grad()
    def mean(self, layers: Layers) -> float:
        """The mean of the loss over all ``layers``."""
        codes = torch.stack([codes for codes, _ in layers])
        total, bits = 0.0, self.images.new_zeros(())
        for t, (_, reconstruction) in enumerate(layers, start=1):
            loss, bits = self(reconstruction, codes[:t], bits)
            total += float(loss)
        return total / len(layers)


def patches(images: Tensor) -> Tensor:
    """Images ``[B, 3, H, W]`` cut into equal patches of at most PATCH pixels a side: ``[B · n, 3, h, w]``. Where the
    sizes do not divide, the last row and column are repeated."""
    height, width = (math.ceil(side / math.ceil(side / PATCH)) for side in images.shape[2:])
    images = functional.pad(images, (0, -images.shape[3] % width, 0, -images.shape[2] % height), mode="replicate")
    return torch.cat(torch.cat(images.split(height, dim=2)).split(width, dim=3))


class LayerSearch:
    """Chooses the codes of one layer after the other; see `IterativeCodec.iterate`."""

    def __init__(self, loss: CodesLoss, tried: int, on_layer: Callable[[], object]) -> None:
        self.loss = loss
        self.tried = tried
        self.on_layer = on_layer
        self.before: list[Tensor] = []  # the codes of earlier layers
        self.spent = loss.images.new_zeros(())  # their bits, in raw bits of a layer

    def __call__(self, activations: Tensor, step: Step) -> Tensor:
        free = activations.float().clone().requires_grad_()
        adam = torch.optim.Adam([free], lr=LEARNING_RATE)
        least, best, spent = float("inf"), sign(activations), self.spent
        for left in reversed(range(self.tried)):
            with torch.enable_grad():
                codes = sign(free).detach() + (free - free.detach())  # the gradient of the identity
                reconstruction = step(codes.to(activations.dtype))[0] + 0.5
                loss, bits = self.loss(reconstruction, torch.stack([*self.before, codes]), self.spent)
            if float(loss) < least:
                least, best, spent = float(loss), codes.detach().to(activations.dtype), bits.detach()
            if left:  # to try
                (free.grad,) = torch.autograd.grad(loss, free)
                adam.step()
        self.before.append(best)
        self.spent = spent
        self.on_layer()
        return best
