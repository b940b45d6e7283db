import math

import torch
from torch import Tensor

from rnncodec.training.rate_slope import LIMIT, RateSlope

START = torch.tensor([1.0, 0.5, 0.25])


def follow(slopes: RateSlope, distortions: list[float], rates: list[float], steps: int) -> Tensor:
    for _ in range(steps):
        slopes.update(torch.tensor(distortions), torch.tensor(rates))
    return slopes.weights()


def test_weights_are_at_first_those_of_the_start() -> None:
    torch.testing.assert_close(RateSlope(START, 0.01).weights(), START)


def test_weights_come_slowly_to_the_slopes_of_the_curve() -> None:
    slopes = RateSlope(START, 0.05)
    rates = torch.tensor([0.5, 1.25, 2.0])  # of layers 1 to t
    distortions = -1.5 * rates.log()  # a curve whose slope is 1.5 / R
    each = rates.diff(prepend=torch.zeros(1))
    once = follow(slopes, distortions.tolist(), each.tolist(), 1)
    assert 1.0 < once[0] < 1.2
    settled = follow(slopes, distortions.tolist(), each.tolist(), 300)
    torch.testing.assert_close(settled, torch.tensor([3.0, 1.2, 0.6]), rtol=1e-4, atol=0)


def test_weights_stay_within_their_limits_also_where_a_layer_gives_nothing() -> None:
    settled = follow(RateSlope(START, 0.5), [-1.0, -0.9, -90.0], [0.5, 0.5, 0.5], 100)
    torch.testing.assert_close(settled, START * torch.tensor([1 / LIMIT, LIMIT, LIMIT]))


def test_layers_that_a_step_does_not_train_keep_their_weights() -> None:
    slopes = RateSlope(START, 0.5)
    before = slopes.gained.clone()
    found = follow(slopes, [-1.0, -3.0], [1.0, 1.0], 100)
    torch.testing.assert_close(found, torch.tensor([2.0 / math.log(2.0), 0.5, 0.25]))
    assert torch.equal(slopes.gained[1:], before[1:])


def test_a_checkpoint_keeps_the_means() -> None:
    slopes, loaded = RateSlope(START, 0.1), RateSlope(START, 0.1)
    found = follow(slopes, [-1.0, -2.0, -2.5], [1.0, 1.5, 2.5], 3)
    loaded.load_state_dict(slopes.state_dict())
    assert torch.equal(loaded.weights(), found)
