import torch

from rnncodec.training.settled import ENOUGH, settled_weights


def test_bits_count_more_in_blocks_that_are_good_enough_before_their_iteration() -> None:
    images = torch.full((1, 3, 16, 64), 0.5)
    images[..., 16:] = 0.9
    errors = torch.tensor([0.0, 1.0, 0.5, 0.1]).repeat_interleave(16)  # of each block, in the root of ENOUGH
    reconstruction = images + ENOUGH**0.5 * errors
    weights = settled_weights(torch.stack([reconstruction, images]), images, most=64)
    assert weights.shape == (2, 1, 1, 1, 4)
    torch.testing.assert_close(weights[0].flatten(), torch.tensor([64.0, 1.0, 1.0, 1.0]))  # of grey, before the first
    torch.testing.assert_close(weights[1].flatten(), torch.tensor([64.0, 1.0, 16.0, 64.0]), rtol=1e-3, atol=0)
    assert torch.equal(settled_weights(reconstruction[None], images, most=1), torch.ones(1, 1, 1, 1, 4))


def test_no_gradient_reaches_reconstructions_through_the_weights() -> None:
    images, reconstructions = torch.rand(1, 3, 16, 16), torch.rand(2, 1, 3, 16, 16, requires_grad=True)
    assert not settled_weights(reconstructions, images, most=64).requires_grad
