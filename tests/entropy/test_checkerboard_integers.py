import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from rnncodec.entropy import checkerboard_integers
from rnncodec.entropy.checkerboard import Checkerboard
from rnncodec.entropy.checkerboard_integers import CheckerboardContext, Codes
from rnncodec.entropy.interface import ONE, ContextModel, replay
from rnncodec.entropy.quantization import dequantize_checkerboard, quantize_checkerboard
from rnncodec.errors import ModelError
from tests.defaults import checkerboard_config
from tests.entropy.after import after
from tests.entropy.reference import frequencies

VECTORS = Path(__file__).with_name("vectors.json")


def all_frequencies(context: ContextModel, history: Sequence[Codes], codes: Codes) -> np.ndarray:
    """The frequency of a 1 for each bit of ``codes``, ``[bits, h, w]``, as the coder is given them."""
    bits = (codes.ravel() > 0).astype(np.uint8)
    found = np.zeros(bits.size, np.int64)
    for indices, values in replay(after(context, history).groups(*codes.shape[1:]), bits):
        assert not found[indices].any()  # each bit once
        found[indices] = values
    return found.reshape(codes.shape)


def test_every_bit_has_a_probability_neither_0_nor_1(context: CheckerboardContext, codes: Tensor) -> None:
    found = all_frequencies(context, [], codes[0, 0].numpy())
    assert found.min() >= 1
    assert found.max() <= ONE - 1


def test_integers_cost_at_most_a_hundredth_more_than_floats(tiny_context: Checkerboard, codes: Tensor) -> None:
    context = quantize_checkerboard(tiny_context)
    with torch.no_grad():
        floats = binary_cross_entropy_with_logits(tiny_context(codes), (codes > 0).float(), reduction="sum").item()
    cost = 0.0
    for picture in codes.transpose(0, 1).numpy():
        for t, each in enumerate(picture):
            ones = all_frequencies(context, list(picture[:t]), each) / ONE
            cost -= np.log(np.where(each > 0, ones, 1 - ones)).sum()
    assert cost <= 1.01 * floats  # less, where a float was too sure


def test_integers_turned_into_floats_predict_alike(tiny_context: Checkerboard, codes: Tensor) -> None:
    context = quantize_checkerboard(tiny_context)
    network = dequantize_checkerboard(context)
    with torch.no_grad():
        ones = network(codes[:3]).sigmoid()
        assert torch.equal(network(codes[:3], start=2), network(codes[:3])[2:])
    for t in range(3):
        history = list(codes[:t, 0].numpy())
        found = all_frequencies(context, history, codes[t, 0].numpy()) / ONE
        np.testing.assert_allclose(ones[t, 0], found, atol=0.02)


def test_a_second_implementation_computes_the_same(codes: Tensor) -> None:
    torch.manual_seed(0)
    config = checkerboard_config(bits=3, iterations=2, groups=2, hidden=(4, 3))
    model = Checkerboard(config)
    torch.nn.init.normal_(model.output)
    context = quantize_checkerboard(model)
    picture = codes[:, 0, :3, :5, :6].numpy()
    reference = frequencies(
        {name: tensor.tolist() for name, tensor in context.tensors.items()}, 3, 2, 2, 1, iterations=2
    )
    for t, each in enumerate(picture):
        found = all_frequencies(context, list(picture[:t]), each)
        known = {place: int(each[place]) for place in product(range(3), range(5), range(6))}
        for c, y, x in known:
            assert reference(list(picture[:t]), known, 5, 6, c, y, x) == found[c, y, x]


@pytest.fixture(scope="module")
def context(tiny_context: Checkerboard) -> CheckerboardContext:
    return quantize_checkerboard(tiny_context)


def test_vectors() -> None:
    """The frequencies in vectors.json, of a model made of simple numbers: no machine and no version may give others."""
    expected = json.loads(VECTORS.read_text())
    assert [found.ravel().tolist() for found in vectors()] == expected


def vectors() -> list[np.ndarray]:
    """The frequencies of three iterations under a model whose weights follow a rule."""
    config = checkerboard_config(bits=4, iterations=2, groups=2, hidden=(8, 6))
    shapes = {name: tensor.shape for name, tensor in quantize_checkerboard(Checkerboard(config)).tensors.items()}
    tensors = {}
    for number, name in enumerate(sorted(shapes)):
        count = int(np.prod(shapes[name]))
        sequence = (np.arange(count, dtype=np.int64) * 7919 + 104729 * number) * 31 % 1009 - 504
        tensors[name] = sequence.reshape(shapes[name]).astype(np.int32)
    tensors["table"] = np.arange(1024, dtype=np.int32) * 64 + 32
    tensors["shifts"] = np.array([2, 7, 9], np.int32)
    context = CheckerboardContext(config, tensors)
    picture = ((np.arange(3 * 4 * 5 * 7) ** 2 * 37 // 11 % 2) * 2 - 1).astype(np.int8).reshape(3, 4, 5, 7)
    return [all_frequencies(context, list(picture[:t]), picture[t]) for t in range(3)]


def test_sums_that_float32_might_round_are_refused(context: CheckerboardContext) -> None:
    for name in ("window", "past", "centre", "iteration", "stage", "group", "hidden", "output", "output_bias"):
        tensors = {key: value.astype(np.int32) for key, value in context.tensors.items()}
        tensors[name].flat[-1] = 2**24
        with pytest.raises(ModelError, match="exact below 16,777,216"):
            CheckerboardContext(context.config, tensors)


@pytest.mark.parametrize(
    ("name", "value"),
    [("table", 0), ("table", ONE), ("shifts", -1), ("shifts", 25)],
)
def test_tables_and_shifts_out_of_range_are_refused(context: CheckerboardContext, name: str, value: int) -> None:
    tensors = {key: array.astype(np.int32) for key, array in context.tensors.items()}
    tensors[name].flat[0] = value
    with pytest.raises(ModelError, match=r"must be from"):
        CheckerboardContext(context.config, tensors)


def test_tensors_of_other_shapes_are_refused(context: CheckerboardContext) -> None:
    for tensors in (
        {key: value for key, value in context.tensors.items() if key != "table"},
        context.tensors | {"table": np.zeros(3, np.int32)},
        context.tensors | {"hidden": context.tensors["hidden"].astype(np.float32)},
    ):
        with pytest.raises(ModelError, match="whole numbers of the shapes"):
            CheckerboardContext(context.config, tensors)


def test_huge_weights_are_scaled_down_until_sums_are_exact(tiny_context: Checkerboard) -> None:
    model = Checkerboard(tiny_context.config)
    model.load_state_dict(tiny_context.state_dict())
    with torch.no_grad():
        model.window.weight *= 50
        model.hidden.weight *= 5
    quantize_checkerboard(model)
    with torch.no_grad():
        model.window.weight *= 1e6
    with pytest.raises(ModelError, match="too large"):
        quantize_checkerboard(model)


def test_blocks_of_positions_change_nothing(
    context: CheckerboardContext, codes: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = list(codes[:, 0].numpy())
    expected = all_frequencies(context, picture[:3], picture[3])
    for block in (1, 7, 25):
        monkeypatch.setattr(checkerboard_integers, "BLOCK", block)
        assert np.array_equal(all_frequencies(context, picture[:3], picture[3]), expected)
