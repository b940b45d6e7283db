"""Codes chosen for the picture at hand: the encoder searches for better codes than the network gives.

The format, the decoder and the weights stay as they are. So a file that was written with more effort decodes as fast as
any other.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.lr_scheduler import LinearLR

from rnncodec.distortion.losses import Decibels
from rnncodec.entropy.cross_entropy import bits_per_bit
from rnncodec.entropy.networks import Network
from rnncodec.network.binarizer import sign
from rnncodec.network.codec import IterativeCodec, State
from rnncodec.pictures.limits import MOST_EFFORT

# By level of effort: the codes that are tried in each layer, those of the network first, and the learning rate, which
# falls to a tenth. Activations are from -1 to 1, and a bit turns where its own crosses 0.
LEVELS = {1: (4, 0.03), 2: (10, 0.02), 3: (20, 0.012)}
assert max(LEVELS) == MOST_EFFORT
MOMENTUM = 0.7
AHEAD = 2.0  # the weight of the loss after the next layer
SMALLEST = 1e-30  # RMS of a gradient

# What is minimised in layer t is D + WEIGHT / t^POWER · R, as in training: D is the loss `Decibels`, R are the bits of
# layers 1 to t under the context model, divided by the raw bits of one layer.
WEIGHT, POWER = 1.6, 1.15
DECIBELS = "rnncodec.distortion.losses.Decibels"  # as configs name it
SHARES = {"share": 0.9, "fall": 0.93, "hvs": 0.7}  # those of `light`
PATCH = 256  # pixels on a side of a patch of the loss; all five scales of MS-SSIM fit into it

Layers = list[tuple[Tensor, Tensor]]  # codes [B, bits, h, w] and reconstruction [B, 3, H, W] of each


@torch.no_grad()
def search_codes(
    codec: IterativeCodec,
    context: Network | None,
    images: Tensor,
    iterations: int,
    effort: int,
    on_layer: Callable[[], object] = lambda: None,
) -> Layers:
    """The codes of the first ``iterations`` layers of images ``[B, 3, H, W]`` in [0, 1], and the reconstructions.

    The layers are searched one after the other. Gradient descent with momentum moves the activations of the binarizer,
    with the gradient that training uses, scaled to an RMS of 1. (Adam, which scales each activation's gradient, also
    turns bits that hardly matter, and saves less.) Of the codes on the way the best are kept, by the loss after this
    layer plus AHEAD times the loss after the next one. Without the second term the search finds codes that the next
    iterations cannot build on, and after three layers nothing is gained.

    In the end the mean of the loss over all layers is compared with that of the network's own codes, and the better of
    both are returned. ``context`` is the context model as a network, or None if the codes are stored as raw bits.
    ``on_layer`` is called when a layer is found.
    """
    loss = CodesLoss(distortion(codec), context, images)
    plain = list(codec.iterate(images, iterations))
    search = LayerSearch(codec, loss, iterations, effort)
    found = []
    state = codec.start(torch.zeros_like(images))
    for _ in range(iterations):
        activations, state = codec.encode_step(images, state)
        codes = search.choose(activations, state)
        state = codec.decode_step(codes, state)
        found.append((codes, state.picture))
        on_layer()
    return min(plain, found, key=loss.mean)


def distortion(codec: IterativeCodec) -> Decibels:
    """The loss D for codes of ``codec``: with the shares with which the network was trained, squared error alone for
    `light-mse`, or with those of `light` if its weights do not say, or name another loss. Without SSIMULACRA 2, whose
    gradient takes long.

    Raises:
        ConfigurationError: the weights name a share that is not from 0 to 1.
    """
    options = codec.training_info.get("options")
    trained = options.get("loss") if isinstance(options, dict) else None
    if not isinstance(trained, dict) or trained.get("_target_") != DECIBELS:
        trained = {}
    return Decibels(**{name: trained.get(name, value) for name, value in SHARES.items()})


class CodesLoss:
    """The loss of codes ``[T, B, bits, h, w]`` for ``images`` ``[B, 3, H, W]`` in [0, 1]."""

    def __init__(self, distortion: Decibels, context: Network | None, images: Tensor) -> None:
        self.distortion = distortion
        self.context = context
        self.images = images
        self.patches = patches(images)

    def __call__(self, reconstructions: Tensor, codes: Tensor, spent: Tensor) -> tuple[Tensor, Tensor]:
        """The loss after each of the last n layers, whose ``reconstructions`` are ``[n, B, 3, H, W]``, and the bits R
        of all layers up to each: ``[n]``. ``spent`` are those of the layers before."""
        start = len(codes) - len(reconstructions)
        t = torch.arange(start, len(codes), device=codes.device) + 1
        own = torch.ones_like(t) if self.context is None else bits_per_bit(self.context, codes, start)
        bits = spent + own.cumsum(0)
        # D is the mean over patches: to blur a whole photo would take long.
        errors = self.distortion(torch.stack([patches(each) for each in reconstructions]), self.patches, start)
        return errors + WEIGHT / t**POWER * bits, bits

    @torch.no_grad()
    def mean(self, layers: Layers) -> float:
        """The mean of the loss over all ``layers``."""
        codes = torch.stack([codes for codes, _ in layers])
        total, bits = 0.0, self.images.new_zeros(1)
        for t, (_, reconstruction) in enumerate(layers, start=1):
            loss, bits = self(reconstruction[None], codes[:t], bits)
            total += float(loss)
        return total / len(layers)


def patches(images: Tensor) -> Tensor:
    """Images ``[B, 3, H, W]`` cut into equal patches of at most PATCH pixels a side: ``[B · n, 3, h, w]``. Where the
    sizes do not divide, the last row and column are repeated."""
    height, width = (math.ceil(side / math.ceil(side / PATCH)) for side in images.shape[2:])
    images = functional.pad(images, (0, -images.shape[3] % width, 0, -images.shape[2] % height), mode="replicate")
    return torch.cat(torch.cat(images.split(height, dim=2)).split(width, dim=3))


class LayerSearch:
    """Chooses the codes of one layer after the other."""

    def __init__(self, codec: IterativeCodec, loss: CodesLoss, iterations: int, effort: int) -> None:
        self.codec = codec
        self.loss = loss
        self.iterations = iterations
        self.tried, self.learning_rate = LEVELS[effort]
        self.before: list[Tensor] = []  # the codes of earlier layers
        self.spent = loss.images.new_zeros(())  # their bits, in raw bits of a layer

    def choose(self, activations: Tensor, state: State) -> Tensor:
        """The codes ``[B, bits, h, w]`` of the next layer, for whose ``activations`` and ``state`` see
        `IterativeCodec.encode_step`."""
        free = activations.float().clone().requires_grad_()
        descent = torch.optim.SGD([free], lr=self.learning_rate, momentum=MOMENTUM)
        schedule = LinearLR(descent, 1.0, 0.1, total_iters=self.tried)
        least, best, spent = float("inf"), sign(activations), self.spent
        for left in reversed(range(self.tried)):
            with torch.enable_grad():
                codes = self.codec.binarizer(free)
                losses, bits = self.losses(codes.to(activations.dtype), state)
                loss = losses[0] + AHEAD * losses[1:].sum()
            if float(loss) < least:
                least, best, spent = float(loss), codes.detach().to(activations.dtype), bits[0].detach()
            if left:  # to try
                (gradient,) = torch.autograd.grad(loss, free)
                free.grad = gradient / gradient.square().mean().sqrt().clamp(min=SMALLEST)  # to an RMS of 1
                descent.step()
                schedule.step()
        self.before.append(best)
        self.spent = spent
        return best

    def losses(self, codes: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """The loss after the layer of these ``codes``, and after the next one, if there is one, with the codes that the
        network gives it; and the bits up to each."""
        after = self.codec.decode_step(codes, state)
        pictures, found = [after.picture], [*self.before, codes]
        if len(found) < self.iterations:
            activations, after = self.codec.encode_step(self.loss.images, after)
            found.append(self.codec.binarizer(activations))
            pictures.append(self.codec.decode_step(found[-1], after).picture)
        return self.loss(torch.stack(pictures), torch.stack(found), self.spent)
