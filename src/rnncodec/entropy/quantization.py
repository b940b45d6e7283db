"""From a trained checkerboard context model to the same model in integers.

Activations are rounded to multiples of 2^-6. The weights of a layer are rounded to multiples of a power of two: the
smallest with which every sum of the layer stays exact.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from rnncodec.entropy.checkerboard import TOP, Checkerboard
from rnncodec.entropy.config import OLDEST
from rnncodec.entropy.contract import ONE
from rnncodec.entropy.integers import EXACT, TABLE, TOP_LEVEL, IntegerContext
from rnncodec.errors import ModelError

ACTIVATION_BITS = 6  # of activations, from 0 to TOP, after the binary point
LOGIT_BITS = 5  # of the logits, by which the table is indexed, after the binary point
MARGIN = 0.98  # of EXACT; the rest is for the rounding of the weights
WEIGHT_LIMIT = 2**15 - 1

assert TOP * 2**ACTIVATION_BITS == TOP_LEVEL + 1


@torch.no_grad()
def quantize(model: Checkerboard) -> IntegerContext:
    """The model in integers.

    Raises:
        ModelError: its weights are so large that sums of them would not be exact.
    """
    own = model.centre * model.visible
    first = {
        "window": model.window.weight.T,
        "past": model.past.weight.T,
        "centre": own,
        "iteration": model.iteration,
        "stage": model.stage,
        "group": model.group,
    }
    past = model.past.weight.abs().T.clone()
    past[-model.config.bits :] *= OLDEST
    size = model.window.weight.abs().sum(1) + past.sum(0) + (model.group.abs() + own.abs().sum(1)).amax(0)
    size = size + model.iteration.abs().amax(0) + model.stage.abs().amax(0)
    scale = _scale(size, list(first.values()))
    tensors = {name: _whole(value, scale) for name, value in first.items()}
    shifts = [scale - ACTIVATION_BITS]
    tensors["group"] += _half(shifts[0])  # sums are rounded down; with a half added, to the nearest

    size = TOP * model.hidden.weight.abs().sum(1) + model.hidden.bias.abs()
    scale = _scale(size * 2**ACTIVATION_BITS, [model.hidden.weight])
    tensors["hidden"] = _whole(model.hidden.weight.T, scale)
    shifts.append(scale)
    tensors["hidden_bias"] = _whole(model.hidden.bias, scale + ACTIVATION_BITS) + _half(scale)

    size = TOP * model.output.abs().sum(1) + model.output_bias.abs().amax(0)
    scale = _scale(size * 2**ACTIVATION_BITS, [model.output])
    tensors["output"] = _whole(model.output, scale)
    shifts.append(scale + ACTIVATION_BITS - LOGIT_BITS)
    tensors["output_bias"] = _whole(model.output_bias, scale + ACTIVATION_BITS)

    logits = (np.arange(TABLE) - TABLE // 2 + 0.5) / 2**LOGIT_BITS
    tensors["table"] = np.clip(np.rint(ONE / (1 + np.exp(-logits))), 1, ONE - 1).astype(np.int32)
    tensors["shifts"] = np.array(shifts, np.int32)
    for name in ("window", "past", "centre", "hidden", "output"):
        tensors[name] = tensors[name].astype(np.int16)
    return IntegerContext(model.config, tensors)


def _scale(size: torch.Tensor, weights: list[torch.Tensor]) -> int:
    """The largest exponent, at least 6, such that weights multiplied by 2^exponent fit into 16 bits and sums of this
    size stay exact."""
    largest = max(float(weight.abs().max()) for weight in weights)
    room = min(MARGIN * EXACT / max(float(size.max()), 1e-6), WEIGHT_LIMIT / max(largest, 1e-6))
    if not room >= 2**ACTIVATION_BITS:
        raise ModelError("the context model's weights are too large or not finite: their sums would not be exact")
    return min(int(np.log2(room)), 16)


def _whole(value: torch.Tensor, scale: int) -> NDArray[np.int32]:
    return np.rint(value.double().cpu().numpy() * 2.0**scale).astype(np.int32)


def _half(shift: int) -> int:
    return 1 << (shift - 1) if shift > 0 else 0
