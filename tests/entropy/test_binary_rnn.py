import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from rnncodec.entropy.binary_rnn import BinaryRNN
from rnncodec.entropy.contexts import context_config
from rnncodec.entropy.cross_entropy import bits_per_bit
from rnncodec.entropy.networks import quantize
from rnncodec.errors import ConfigurationError, ModelError
from rnncodec.weights.weights_file import load_model
from tests.defaults import binary_rnn_config

SHAPE = (4, 1, 3, 6, 7)  # iterations, pictures, bits, rows, columns


@pytest.fixture(scope="module")
def untrained() -> BinaryRNN:
    torch.manual_seed(0)
    return BinaryRNN(binary_rnn_config(bits=3, iterations=4, maps=5))


def random_codes(*shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@given(st.tuples(*(st.integers(0, side - 1) for side in SHAPE)))
def test_no_bit_sees_its_own_position_or_a_later_one(untrained: BinaryRNN, bit: tuple[int, ...]) -> None:
    codes = random_codes(*SHAPE)
    changed = codes.clone()
    changed[bit] *= -1
    with torch.no_grad():
        differs = (untrained(changed) != untrained(codes)).any(dim=2)[:, 0].flatten()  # in the order of coding
    t, _, _, y, x = bit
    own = (t * SHAPE[3] + y) * SHAPE[4] + x
    assert not differs[: own + 1].any()
    assert differs.any() or own >= len(differs) - SHAPE[4] * SHAPE[3]  # the last iteration's last bits help no other


def test_a_bit_sees_the_rows_above_its_left_and_all_earlier_iterations(untrained: BinaryRNN) -> None:
    codes = random_codes(*SHAPE).float()
    gradient = torch.autograd.functional.jacobian(lambda c: untrained(c)[3, 0, 1, 5, 3], codes)[:, 0]
    seen = gradient.ne(0).all(dim=1)  # of a position, all bits or none
    assert seen[3, 5, 2]
    assert seen[3, 0, 6]  # beyond the 7×7: the line LSTM remembers
    assert not seen[3, 5, 3:].any()
    assert seen[:3, 5, 3].all()  # its own position, in each iteration before
    assert seen[2, 4, 4]


def test_training_reaches_every_parameter(untrained: BinaryRNN) -> None:
    codes = random_codes(*SHAPE)
    binary_cross_entropy_with_logits(untrained(codes), (codes > 0).float()).backward()
    for name, parameter in untrained.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.fixture(scope="module")
def trained(codes: Tensor) -> BinaryRNN:
    """A small network that has seen `codes` a few times."""
    torch.manual_seed(0)
    network = BinaryRNN(binary_rnn_config(iterations=3, maps=8))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(25):
        loss = binary_cross_entropy_with_logits(network(codes[:3, :3]), (codes[:3, :3] > 0).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.8 * np.log(2)
    return network


def test_it_measures_bits_and_codes_no_files(
    trained: BinaryRNN, tiny_weights: Path, codes: Tensor, tmp_path: Path
) -> None:
    assert bits_per_bit(trained, codes[:3, :3]).mean() < 0.8
    assert quantize(trained) is None
    with safe_open(tiny_weights, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        metadata = file.metadata()
    options = {"name": "binary_rnn", **asdict(trained.config)}
    save_file(tensors, tmp_path / "own.safetensors", metadata | {"context": json.dumps(options)})
    with pytest.raises(ModelError, match="binary_rnn computes in floating point, and codes no files"):
        load_model(tmp_path / "own.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "binary_rnn", "bits": 32, "iterations": 2, "maps": 0}, "context.maps must be"),
        ({"name": "binary_rnn", "groups": 4}, "unknown context options: groups"),
        (
            {"name": "markov"},
            "unknown context model 'markov'; choose from checkerboard, recurrent_checkerboard, binary_rnn",
        ),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        context_config(options)
