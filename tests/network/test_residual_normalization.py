import torch

from rnncodec.network.residual_normalization import ResidualNormalization


def test_steps_of_fewer_iterations_leave_the_scales_of_later_ones_alone() -> None:
    normalization = ResidualNormalization()
    normalization.update(torch.full((2, 1, 3, 16, 16), 1.0))
    assert (normalization.scales()[2:] == normalization.scales()[1]).all()  # the later ones were never trained
    residuals = torch.tensor([1.0, 0.5, 0.2, 0.1]).view(4, 1, 1, 1, 1).expand(4, 1, 3, 16, 16)
    normalization.update(residuals)
    before = normalization.scales()
    assert (before[4:] == before[3]).all()
    assert (before[:3] > before[1:4]).all()
    normalization.update(residuals[:2])
    after = normalization.scales()
    assert torch.equal(after[2:], before[2:])
    assert not torch.equal(after[:2], before[:2])
