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
    distortions, rates = [-1.0, -1.6, -1.9], [0.5, 1.0, 1.75]  # slopes of 1.2 and 0.4
    once = follow(slopes, distortions, rates, 1)
    assert 1.0 < once[0] < 1.03
    settled = follow(slopes, distortions, rates, 300)
    torch.testing.assert_close(settled, torch.tensor([1.2, 0.4, 0.2]), rtol=1e-4, atol=0)


def test_weights_stay_within_their_limits_also_where_a_layer_gives_nothing() -> None:
    settled = follow(RateSlope(START, 0.5), [-1.0, -0.9, -90.0], [0.5, 1.0, 1.5], 100)
    torch.testing.assert_close(settled, START * torch.tensor([1 / LIMIT, LIMIT, LIMIT]))


def test_layers_that_a_step_does_not_train_keep_their_weights() -> None:
    slopes = RateSlope(START, 0.5)
    found = follow(slopes, [-1.0, -2.0], [1.0, 1.5], 100)
    torch.testing.assert_close(found, torch.tensor([2.0, 0.5, 0.25]))
    assert torch.equal(follow(slopes, [-1.0], [1.0], 1), found)


def test_a_checkpoint_keeps_the_means() -> None:
    slopes, loaded = RateSlope(START, 0.1), RateSlope(START, 0.1)
    found = follow(slopes, [-1.0, -2.0, -2.5], [1.0, 1.5, 2.5], 3)
    loaded.load_state_dict(slopes.state_dict())
    assert torch.equal(loaded.weights(), found)
