import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rnncodec.network.binarizer import BINARIZERS, Binarizer, StochasticBinarizer, sign


def identity_binarizer(kind: type[Binarizer], bits: int = 1) -> Binarizer:
    """A binarizer whose convolution passes its input through."""
    binarizer = kind(bits, bits, projections=1)
    with torch.no_grad():
        binarizer.conv.weight.copy_(torch.eye(bits)[:, :, None, None])
        assert binarizer.conv.bias is not None
        binarizer.conv.bias.zero_()
    return binarizer


def binarized(binarizer: Binarizer, x: Tensor) -> Tensor:
    return binarizer(binarizer.project(x, 0))


def features(*values: float) -> Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


@given(st.floats(allow_nan=False, width=32))
def test_sign_is_minus_one_below_zero_and_plus_one_from_zero_on(x: float) -> None:
    assert sign(torch.tensor(x)).item() == (-1.0 if x < 0 else 1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_sign_of_either_zero_is_plus_one_in_the_type_it_was_given(dtype: torch.dtype) -> None:
    signs = sign(torch.tensor([0.0, -0.0], dtype=dtype))
    assert signs.dtype == dtype
    assert signs.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", BINARIZERS)
def test_features_of_zero_become_plus_one_at_inference(name: str) -> None:
    codes = binarized(identity_binarizer(BINARIZERS[name]).eval(), features(0.0, -0.0))
    assert codes.flatten().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", BINARIZERS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_codes_are_exactly_minus_or_plus_one(name: str, training: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    binarizer = BINARIZERS[name](4, 6, projections=1).train(training).to(dtype)
    codes = binarized(binarizer, torch.randn(2, 4, 32, 32, dtype=dtype))
    assert codes.shape == (2, 6, 32, 32)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("name", BINARIZERS)
@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_passes_the_binarization_as_if_it_were_the_identity(name: str, training: bool) -> None:
    torch.manual_seed(0)
    binarizer = identity_binarizer(BINARIZERS[name]).train(training)
    x = features(-3.0, -0.4, 0.0, 0.2, 2.0).requires_grad_()
    upstream = features(1.0, -2.0, 3.0, 0.5, 4.0)
    binarized(binarizer, x).backward(upstream)
    torch.testing.assert_close(x.grad, upstream * (1 - x.detach().tanh().square()))


def test_the_stochastic_binarizer_is_on_average_tanh_in_training() -> None:
    torch.manual_seed(0)
    binarizer = identity_binarizer(StochasticBinarizer).train()
    values = torch.tensor([-2.0, -0.5, 0.0, 0.3, 1.0])
    mean = binarized(binarizer, values.reshape(1, 1, 1, -1).expand(20_000, 1, 1, -1)).mean(dim=(0, 1, 2))
    torch.testing.assert_close(mean, values.tanh(), rtol=0, atol=0.03)


def test_the_stochastic_binarizer_takes_the_sign_at_inference() -> None:
    torch.manual_seed(0)
    stochastic = StochasticBinarizer(4, 6, projections=1).eval()
    deterministic = Binarizer(4, 6, projections=1)
    deterministic.load_state_dict(stochastic.state_dict())
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(binarized(stochastic, x), binarized(stochastic, x))
    assert torch.equal(binarized(stochastic, x), binarized(deterministic, x))


def test_the_deterministic_binarizer_does_the_same_in_training() -> None:
    torch.manual_seed(0)
    binarizer = Binarizer(4, 6, projections=1)
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(binarized(binarizer.train(), x), binarized(binarizer.eval(), x))


@pytest.mark.parametrize("value", [0.0, -0.98828125])  # the second is a bfloat16 near -0.99
def test_the_stochastic_binarizer_has_exact_probabilities_in_bfloat16(value: float) -> None:
    torch.manual_seed(0)
    activations = torch.full((4_000_000,), value, dtype=torch.bfloat16)
    codes = StochasticBinarizer(1, 1, projections=1).train().binarize(activations)
    assert codes.dtype == torch.bfloat16
    wanted = (1 + value) / 2
    deviation = (wanted * (1 - wanted) / len(activations)) ** 0.5
    assert (codes > 0).float().mean().item() == pytest.approx(wanted, abs=4 * deviation)
