"""The projections to and from the bits, which may be different in each iteration."""

from torch import Tensor, nn
from torch.nn import functional


class Projection(nn.Conv2d):
    """A 1×1 convolution that has weights of its own in each of the first ``iterations`` iterations. Later iterations
    use the weights of the last of these. In the paper there is one projection for all iterations.

    With one projection the encoder can code only ``bits`` different linear functions of its features. With several,
    each iteration can code others. They add parameters, but no operations.
    """

    def __init__(self, in_channels: int, channels: int, iterations: int) -> None:
        super().__init__(in_channels, iterations * channels, kernel_size=1)
        self.channels = channels
        self.iterations = iterations

    def forward(self, x: Tensor, t: int | Tensor) -> Tensor:  # type: ignore[override]
        """``[B, in_channels, h, w] -> [B, channels, h, w]``, in iteration t; the first is 0. ``t`` may be a tensor
        ``[]`` of the dtype int64: then it need not be known when the network is traced."""
        weight, bias = self.of_iteration(t)
        return functional.conv2d(x.to(self.weight.dtype), weight, bias)

    def of_iteration(self, t: int | Tensor) -> tuple[Tensor, Tensor]:
        """The weights ``[channels, in_channels, 1, 1]`` and biases ``[channels]`` of iteration t."""
        assert self.bias is not None
        if self.iterations == 1:
            return self.weight, self.bias
        own = own_index(t, self.iterations)
        weights, biases = (values.unflatten(0, (self.iterations, -1)) for values in (self.weight, self.bias))
        return weights[own], biases[own]


def own_index(t: int | Tensor, count: int) -> int | Tensor:
    """Which of ``count`` values, one for each iteration, is that of iteration t; later iterations share the last."""
    return t.clamp(max=count - 1) if isinstance(t, Tensor) else min(t, count - 1)
