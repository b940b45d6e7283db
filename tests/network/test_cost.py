import pytest

from rnncodec.network.cost import cost
from tests.defaults import codec_config


def gru_macs(inputs: int, channels: int, kernel: int, scale: int) -> float:
    """The MACs for a pixel of a GRU with a 3×3 kernel on its input. A position of its output covers a block of
    ``scale`` × ``scale`` pixels."""
    return 3 * channels * (9 * inputs + kernel**2 * channels) / scale**2


def test_operations_of_a_gru_network_are_those_counted_by_hand() -> None:
    config = codec_config(
        encoder_cell="gru",
        decoder_cell="gru",
        encoder_channels=(8, 12, 16, 20),
        decoder_channels=(24, 32, 16, 16, 8),
        encoder_hidden_kernels=(1, 3, 3),
        decoder_hidden_kernels=(3, 1, 1, 3),
        bits=5,
    )
    encoder = 27 * 8 / 4 + gru_macs(8, 12, 1, 4) + gru_macs(12, 16, 3, 8) + gru_macs(16, 20, 3, 16) + 20 * 5 / 256
    decoder = 5 * 24 / 256 + gru_macs(24, 32, 3, 16) + gru_macs(8, 16, 1, 8) + gru_macs(4, 16, 1, 4)
    decoder += gru_macs(4, 8, 3, 2) + 2 * 3
    found = cost(config)
    assert found.encoder == pytest.approx(encoder / 1000)
    assert found.decoder == pytest.approx(decoder / 1000)
    assert found.parameters > 1000


def test_diffusion_and_a_gain_network_cost_operations() -> None:
    plain = cost(codec_config(width=0.06))
    diffused = cost(codec_config(width=0.06, diffusion=1))
    assert diffused.encoder > 1.9 * plain.encoder
    assert diffused.parameters == plain.parameters
    scaled = cost(codec_config(width=0.06, reconstruction="residual_scaling"))
    assert scaled.decoder - plain.decoder == pytest.approx(scaled.encoder - plain.encoder)
    assert scaled.decoder > plain.decoder


def test_cost_prints_as_one_line() -> None:
    assert str(cost(codec_config(width=0.06))).endswith("kMAC a pixel and iteration")
