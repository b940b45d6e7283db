from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from rnncodec.entropy.checkerboard import Checkerboard
from rnncodec.entropy.order import STAGES, channel_groups, earlier, offsets, stages
from rnncodec.errors import ConfigurationError
from tests.defaults import checkerboard_config

SMALL = checkerboard_config(bits=5, iterations=2, groups=2, hidden=(6, 4))


def random_codes(*shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def rank(iterations: int, height: int, width: int) -> Tensor:
    """When each bit is coded, ``[iterations, bits, h, w]``: equal numbers are coded at once."""
    group = torch.tensor([g for g, run in enumerate(channel_groups(5, 2)) for _ in range(run.start, run.stop)])
    within = torch.from_numpy(stages(height, width)) * 2 + group[:, None, None]
    return torch.stack([within + t * STAGES * 2 for t in range(iterations)])


def test_a_probability_depends_only_on_bits_of_earlier_groups() -> None:
    torch.manual_seed(0)
    model = Checkerboard(SMALL)
    codes = random_codes(5, 1, 5, 6, 7)
    logits, ranks = model(codes), rank(5, 6, 7)
    for t, channel, y, x in [(0, 0, 0, 0), (1, 2, 3, 3), (1, 4, 2, 4), (2, 0, 5, 6), (3, 3, 1, 2)]:
        changed = codes.clone()
        changed[t, 0, channel, y, x] *= -1
        differs = (model(changed) != logits)[:, 0]
        assert not differs[ranks <= ranks[t, channel, y, x]].any()
        assert differs.any()


def test_a_bit_sees_neighbours_other_channels_and_earlier_iterations() -> None:
    torch.manual_seed(0)
    model = Checkerboard(SMALL)
    codes = random_codes(5, 1, 5, 6, 7).double()
    model.double()
    seen = torch.autograd.functional.jacobian(lambda c: model(c)[4, 0, 4, 2, 3], codes)[:, 0].ne(0)  # stage 3
    assert seen[4, 4, 2, 2]  # its left neighbour
    assert seen[4, 0, 2, 3]  # its own first channel
    assert seen[3, 4, 3, 4]  # around it, an iteration ago
    assert seen[2, 4, 1, 2]  # and two ago
    assert seen[0, 4, 2, 3]  # an old iteration at its place


def test_training_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    model = Checkerboard(SMALL)
    codes = random_codes(4, 2, 5, 8, 9)
    binary_cross_entropy_with_logits(model(codes), (codes > 0).float()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_training_learns(tiny_context: Checkerboard, codes: Tensor) -> None:
    with torch.no_grad():
        loss = binary_cross_entropy_with_logits(tiny_context(codes[:3]), (codes[:3] > 0).float())
    assert loss < 0.6 * np.log(2)


def test_pictures_of_a_batch_do_not_mix(tiny_context: Checkerboard, codes: Tensor) -> None:
    with torch.no_grad():
        together = tiny_context(codes)
        for index in range(codes.shape[1]):
            torch.testing.assert_close(tiny_context(codes[:, index : index + 1]), together[:, index : index + 1])


def test_later_iterations_than_those_trained_count_as_the_last() -> None:
    torch.manual_seed(0)
    model = Checkerboard(SMALL)
    torch.nn.init.normal_(model.iteration)
    logits = model(random_codes(1, 1, 5, 4, 4).expand(14, -1, -1, -1, -1))  # sums of older codes are clipped from 10 on
    torch.testing.assert_close(logits[11], logits[13])
    assert not torch.allclose(logits[0], logits[1])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (5, 8)])
def test_stages_make_the_grid_denser(height: int, width: int) -> None:
    stage = stages(height, width)
    assert stage[0, 0] == 0
    assert set(np.unique(stage)) <= set(range(STAGES))
    padded = np.pad(stage, 1, constant_values=-1)
    for y, x in np.argwhere(stage == STAGES - 1) + 1:  # the last stage has its four neighbours
        assert max(padded[y - 1, x], padded[y + 1, x], padded[y, x - 1], padded[y, x + 1]) < STAGES - 1


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_earlier_stages_lie_in_the_same_directions_from_every_position_of_a_stage(radius: int) -> None:
    stage = stages(20, 20)
    for y, x in product(range(radius, 20 - radius), repeat=2):
        seen = [i for i, (dy, dx) in enumerate(offsets(radius)) if stage[y + dy, x + dx] < stage[y, x]]
        assert seen == earlier(radius)[stage[y, x]]


@pytest.mark.parametrize(("bits", "groups"), [(32, 4), (32, 5), (3, 8), (1, 1)])
def test_channel_groups_cover_all_channels_in_order(bits: int, groups: int) -> None:
    runs = channel_groups(bits, groups)
    assert len(runs) == min(bits, groups)
    assert [c for run in runs for c in range(run.start, run.stop)] == list(range(bits))
    sizes = [run.stop - run.start for run in runs]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("options", [{"groups": 0}, {"radius": 1.5}, {"hidden": (8,)}, {"hidden": 8}, {"depth": 3}])
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="context"):
        checkerboard_config(**options)
