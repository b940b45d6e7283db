"""From a trained context model to the same model in integers, and back.

Activations are rounded to multiples of 2^-6. The weights of a layer are rounded to multiples of a power of two: the
smallest with which every sum of the layer stays exact.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from rnncodec.entropy.checkerboard import TOP, Checkerboard
from rnncodec.entropy.checkerboard_integers import EXACT, TABLE, TOP_LEVEL, CheckerboardContext
from rnncodec.entropy.config import OLDEST
from rnncodec.entropy.interface import ONE
from rnncodec.entropy.recurrent_checkerboard import RecurrentCheckerboard
from rnncodec.entropy.recurrent_checkerboard_integers import RecurrentCheckerboardContext
from rnncodec.errors import ModelError

ACTIVATION_BITS = 6  # of activations, from 0 to TOP, after the binary point
LOGIT_BITS = 5  # of the logits, by which the table is indexed, after the binary point
MARGIN = 0.98  # of EXACT; the rest is for the rounding of the weights
# Bits of the largest weight that multiplies codes; the others of its tensor are multiples of the same power of two.
# Most weights multiply codes: with 6 bits in place of 15 they take half the bytes of a compressed weights file, and
# photos still take as many bytes.
WEIGHT_BITS = 6
WEIGHT_LIMIT = 2**15 - 2 ** (15 - WEIGHT_BITS)  # the largest such number of 16 bits

assert TOP * 2**ACTIVATION_BITS == TOP_LEVEL + 1


@torch.no_grad()
def quantize_checkerboard(model: Checkerboard) -> CheckerboardContext:
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

    tensors["table"] = _table()
    tensors["shifts"] = np.array(shifts, np.int32)
    for name in ("window", "past", "centre", "hidden", "output"):
        tensors[name] = tensors[name].astype(np.int16)
    return CheckerboardContext(model.config, tensors)


@torch.no_grad()
def quantize_recurrent(model: RecurrentCheckerboard) -> RecurrentCheckerboardContext:
    """The model in integers. Each iteration has scales of its own.

    Raises:
        ModelError: its weights are so large that sums of them would not be exact.
    """
    iterations = [_quantize_iteration(model, t) for t in range(model.config.iterations)]
    tensors = {name: np.stack([each[name] for each in iterations]) for name in iterations[0]}
    return RecurrentCheckerboardContext(model.config, tensors | {"table": _table()})


def _quantize_iteration(model: RecurrentCheckerboard, t: int) -> dict[str, NDArray[np.integer]]:
    """The tensors of iteration t. The inputs of the first two layers are codes, and activations (the memory), whose
    weights have ACTIVATION_BITS fewer bits after the binary point."""
    weights = {name: parameter[t] for name, parameter in model.named_parameters()}
    weights["centre"] = weights["centre"] * model.visible
    size = {name: weight.abs() for name, weight in weights.items()}

    memory = size["codes"].sum(0) + TOP * size["state"].sum(0) + size["memory_bias"]
    memory_scale = _scale(memory, [weights["codes"], weights["state"] / 2**ACTIVATION_BITS])
    first = size["window"].sum(0) + size["past"].sum(0) + TOP * size["recall"].sum(0) + size["stage"].amax(0)
    first = first + (size["group"] + size["centre"].sum(1)).amax(0)
    wide = [weights[name] for name in ("window", "past", "centre")]
    first_scale = _scale(first, [*wide, weights["recall"] / 2**ACTIVATION_BITS])
    second = (TOP * size["hidden"].sum(0) + size["hidden_bias"]) * 2**ACTIVATION_BITS
    second_scale = _scale(second, [weights["hidden"]])
    logits = (TOP * size["output"].sum(1) + size["output_bias"]) * 2**ACTIVATION_BITS
    logit_scale = _scale(logits, [weights["output"]])

    scales = _recurrent_exponents(memory_scale, first_scale, second_scale, logit_scale)
    tensors: dict[str, NDArray[np.integer]] = {name: _whole(weights[name], scale) for name, scale in scales.items()}
    for name in ("codes", "window", "past", "centre"):
        tensors[name] = _coarse(tensors[name])
    shifts = [
        memory_scale - ACTIVATION_BITS,
        first_scale - ACTIVATION_BITS,
        second_scale,
        logit_scale + ACTIVATION_BITS - LOGIT_BITS,
    ]
    for name, shift in zip(("memory_bias", "group", "hidden_bias"), shifts, strict=False):
        tensors[name] += _half(shift)  # sums are rounded down; with a half added, to the nearest
    tensors["shifts"] = np.array(shifts, np.int32)
    for name in ("codes", "state", "window", "past", "recall", "centre", "hidden", "output"):
        tensors[name] = tensors[name].astype(np.int16)
    return tensors


@torch.no_grad()
def dequantize_checkerboard(context: CheckerboardContext) -> Checkerboard:
    """A network in floats whose logits are those of ``context``, but for the rounding of its activations."""
    model = Checkerboard(context.config)
    tensors, shifts = context.tensors, context.tensors["shifts"].tolist()
    first, second, third = shifts[0] + ACTIVATION_BITS, shifts[1], shifts[2] - ACTIVATION_BITS + LOGIT_BITS
    exponents = dict.fromkeys(("window", "past", "centre", "iteration", "stage", "group"), first)
    exponents |= {"hidden": second, "hidden_bias": second + ACTIVATION_BITS}
    exponents |= {"output": third, "output_bias": third + ACTIVATION_BITS}
    values = _floats(tensors, exponents, {"group": shifts[0], "hidden_bias": shifts[1]})
    for layer in ("window", "past", "hidden"):
        values[f"{layer}.weight"] = values.pop(layer).T
    values["hidden.bias"] = values.pop("hidden_bias")
    model.load_state_dict(values)
    return model.eval()


@torch.no_grad()
def dequantize_recurrent(context: RecurrentCheckerboardContext) -> RecurrentCheckerboard:
    """A network in floats whose logits are those of ``context``, but for the rounding of its activations."""
    model = RecurrentCheckerboard(context.config)
    iterations = []
    for t, shifts in enumerate(context.tensors["shifts"].tolist()):
        memory, first = shifts[0] + ACTIVATION_BITS, shifts[1] + ACTIVATION_BITS
        second, third = shifts[2], shifts[3] - ACTIVATION_BITS + LOGIT_BITS
        exponents = _recurrent_exponents(memory, first, second, third)
        halves = dict(zip(("memory_bias", "group", "hidden_bias"), shifts, strict=False))
        iterations.append(_floats({name: context.tensors[name][t] for name in exponents}, exponents, halves))
    model.load_state_dict({name: torch.stack([each[name] for each in iterations]) for name in iterations[0]})
    return model.eval()


def _recurrent_exponents(memory: int, first: int, second: int, third: int) -> dict[str, int]:
    """The exponents of the tensors of an iteration, from those of its four layers."""
    exponents = dict.fromkeys(("codes", "memory_bias"), memory) | {"state": memory - ACTIVATION_BITS}
    exponents |= dict.fromkeys(("window", "past", "centre", "stage", "group"), first)
    exponents |= {"recall": first - ACTIVATION_BITS, "hidden": second, "output": third}
    return exponents | {"hidden_bias": second + ACTIVATION_BITS, "output_bias": third + ACTIVATION_BITS}


def _floats(
    tensors: Mapping[str, NDArray[np.integer]], exponents: dict[str, int], halves: dict[str, int]
) -> dict[str, torch.Tensor]:
    """The inverse of `_whole`. ``halves`` names the tensors to which the `_half` of a shift was added."""
    return {
        name: torch.from_numpy((tensors[name] - _half(halves.get(name, 0))) * 2.0**-exponent).float()
        for name, exponent in exponents.items()
    }


def _table() -> NDArray[np.int32]:
    """From logits to frequencies."""
    logits = (np.arange(TABLE) - TABLE // 2 + 0.5) / 2**LOGIT_BITS
    return np.clip(np.rint(ONE / (1 + np.exp(-logits))), 1, ONE - 1).astype(np.int32)


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


def _coarse(whole: NDArray[np.integer]) -> NDArray[np.integer]:
    """The nearest multiples of the least power of two with which the quotients have at most WEIGHT_BITS bits."""
    step = 1 << max(0, int(np.abs(whole).max()).bit_length() - WEIGHT_BITS)
    return (np.rint(whole / step) * step).astype(whole.dtype)


def _half(shift: int) -> int:
    return 1 << (shift - 1) if shift > 0 else 0
