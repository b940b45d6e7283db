from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_map

from rnncodec.network.cells import CELLS
from rnncodec.network.cells.associative_lstm import AssociativeLSTM, bound

IN, CHANNELS, COPIES = 3, 8, 4
BATCH, HEIGHT, WIDTH = 2, 8, 12


def build(name: str, stride: int = 1, hidden_kernel: int = 3) -> nn.Module:
    """A cell with weights large enough to use the bends of its non-linearities."""
    torch.manual_seed(1)
    cell = CELLS[name](IN, CHANNELS, kernel=3, stride=stride, hidden_kernel=hidden_kernel).double()
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.3)
    return cell


def inputs(iterations: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(BATCH, IN, HEIGHT, WIDTH, generator=generator, dtype=torch.float64) for _ in range(iterations)]


def parts(conv: nn.Conv2d, x: Tensor, count: int) -> list[Tensor]:
    """The ``count`` convolutions that ``conv`` does at once, one after the other."""
    biases = [None] * count if conv.bias is None else conv.bias.chunk(count)
    size = conv.kernel_size[0]
    return [
        functional.conv2d(x, weight, bias, conv.stride, size // 2)
        for weight, bias in zip(conv.weight.chunk(count), biases, strict=True)
    ]


def lstm(cell: Any, xs: list[Tensor], h: Tensor) -> list[Tensor]:
    outputs, c = [], torch.zeros_like(h)
    for x in xs:
        w, u = parts(cell.input_gates, x, 4), parts(cell.hidden_gates, h, 4)
        f, i, o = (torch.sigmoid(w[k] + u[k]) for k in range(3))
        j = torch.tanh(w[3] + u[3])
        c = f * c + i * j
        h = o * torch.tanh(c)
        outputs.append(h)
    return outputs


def gru(cell: Any, xs: list[Tensor], h: Tensor) -> list[Tensor]:
    outputs = []
    for x in xs:
        w, u = parts(cell.input_gates, x, 3), parts(cell.hidden_gates, h, 2)
        z, r = torch.sigmoid(w[0] + u[0]), torch.sigmoid(w[1] + u[1])
        h = (1 - z) * h + z * torch.tanh(w[2] + parts(cell.hidden_candidate, r * h, 1)[0])
        outputs.append(h)
    return outputs


def minimal_gru(cell: Any, xs: list[Tensor], h: Tensor) -> list[Tensor]:
    outputs = []
    for x in xs:
        w = parts(cell.input_gates, x, 2)
        f = torch.sigmoid(w[0] + parts(cell.hidden_gates, h, 1)[0])
        h = (1 - f) * h + f * torch.tanh(w[1] + parts(cell.hidden_candidate, f * h, 1)[0])
        outputs.append(h)
    return outputs


def residual_gru(cell: Any, xs: list[Tensor], h: Tensor) -> list[Tensor]:
    outputs = []
    for x in xs:
        w, u = parts(cell.input_gates, x, 4), parts(cell.hidden_gates, h, 3)
        z, r = torch.sigmoid(w[0] + u[0]), torch.sigmoid(w[1] + u[1])
        candidate = torch.tanh(w[2] + parts(cell.hidden_candidate, r * h, 1)[0])
        h = (1 - z) * h + z * candidate + 0.1 * u[2]
        outputs.append(h + 0.1 * w[3])
    return outputs


def associative_lstm(cell: Any, xs: list[Tensor], h: Tensor) -> list[Tensor]:
    def bounded(z: Tensor) -> Tensor:
        return z / z.abs().clamp(min=1.0)

    outputs = []
    copies = [torch.zeros_like(h[:, : CHANNELS // 2], dtype=torch.complex128)] * len(cell.permutations)
    for x in xs:
        gates = [w + u for w, u in zip(parts(cell.input_gates, x, 9), parts(cell.hidden_gates, h, 9), strict=True)]
        f, i, o = (torch.sigmoid(gate) for gate in gates[:3])
        j, r_i, r_o = (bounded(torch.complex(gates[k], gates[k + 1])) for k in (3, 5, 7))
        read = torch.zeros_like(j)
        for k, permutation in enumerate(cell.permutations.tolist()):
            copies[k] = f * copies[k] + r_i[:, permutation] * i * j
            read = read + r_o[:, permutation] * copies[k]
        complex_h = o * bounded(read / len(copies))
        h = torch.cat([complex_h.real, complex_h.imag], dim=1)
        outputs.append(h)
    return outputs


REFERENCES: dict[str, Callable[[Any, list[Tensor], Tensor], list[Tensor]]] = {
    "lstm": lstm,
    "gru": gru,
    "residual_gru": residual_gru,
    "minimal_gru": minimal_gru,
    "associative_lstm": associative_lstm,
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("hidden_kernel", [1, 3])
def test_a_cell_follows_its_equations_from_the_first_iteration_on(name: str, stride: int, hidden_kernel: int) -> None:
    cell, xs = build(name, stride, hidden_kernel), inputs(3)
    expected = REFERENCES[name](
        cell, xs, torch.zeros(BATCH, CHANNELS, HEIGHT // stride, WIDTH // stride, dtype=torch.float64)
    )
    state = None
    for x, reference in zip(xs, expected, strict=True):
        output, state = cell(x, state)
        assert output.shape == (BATCH, CHANNELS, HEIGHT // stride, WIDTH // stride)
        torch.testing.assert_close(output, reference, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("hidden_kernel", [1, 3])
def test_no_state_is_a_state_of_zeros(name: str, hidden_kernel: int) -> None:
    cell, (x,) = build(name, hidden_kernel=hidden_kernel), inputs(1)
    output, state = cell(x, None)
    zeros = tree_map(torch.zeros_like, state)
    from_zeros, state_from_zeros = cell(x, zeros)
    torch.testing.assert_close(from_zeros, output)
    tree_map(torch.testing.assert_close, state_from_zeros, state)


@pytest.mark.parametrize("name", CELLS)
def test_the_state_carries_what_came_before(name: str) -> None:
    cell, (first, second) = build(name), inputs(2)
    _, state = cell(first, None)
    assert not torch.allclose(cell(second, state)[0], cell(second, None)[0])


@pytest.mark.parametrize("name", CELLS)
def test_a_call_leaves_the_state_it_was_given_alone(name: str) -> None:
    cell, (first, second) = build(name), inputs(2)
    _, state = cell(first, None)
    once, _ = cell(second, state)
    again, _ = cell(second, state)
    assert torch.equal(once, again)


def test_the_linear_paths_of_the_residual_gru_weigh_a_tenth() -> None:
    cell = CELLS["residual_gru"](1, 1, kernel=1, stride=1, hidden_kernel=1)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.input_gates.weight[3] = 2.0  # W_x; with all other weights 0 the gates are 1/2 and the candidate is 0
        cell.hidden_gates.weight[2] = 3.0  # W_h
        output, state = cell(torch.full((1, 1, 1, 1), 5.0), torch.full((1, 1, 1, 1), 7.0))
    assert state.item() == pytest.approx(0.5 * 7.0 + 0.1 * 3.0 * 7.0)
    assert output.item() == pytest.approx(state.item() + 0.1 * 2.0 * 5.0)


@given(
    real=st.floats(-1e6, 1e6, width=32),
    imaginary=st.floats(-1e6, 1e6, width=32),
)
def test_bound_pulls_a_complex_number_into_the_unit_disc_along_its_direction(real: float, imaginary: float) -> None:
    z = complex(real, imaginary)
    bounded = complex(*(part.item() for part in bound(torch.tensor(real), torch.tensor(imaginary))))
    assert abs(bounded) <= 1 + 1e-6
    assert bounded == pytest.approx(z / max(1.0, abs(z)), rel=1e-5, abs=1e-12)


def test_the_associative_lstm_gives_complex_values_in_the_unit_disc_whatever_its_weights() -> None:
    cell = build("associative_lstm")
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=30.0)
    state = None
    for x in inputs(4):
        output, state = cell(100 * x, state)
        real, imaginary = output.chunk(2, dim=1)
        assert torch.hypot(real, imaginary).max() <= 1 + 1e-9


def test_the_associative_lstm_orders_its_keys_differently_for_each_copy_and_alike_in_every_network() -> None:
    first, second = (AssociativeLSTM(IN, 32, 3, 1, 1, copies=COPIES) for _ in range(2))
    orders = [tuple(order) for order in first.permutations.tolist()]
    assert len(set(orders)) == COPIES
    assert all(sorted(order) == list(range(16)) for order in orders)
    assert torch.equal(first.permutations, second.permutations)
    assert "permutations" not in first.state_dict()
