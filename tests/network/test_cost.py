import pytest

from rnncodec.network.cost import cost
from tests.defaults import codec_config

ENCODER = ((8, 12, 1, 4), (12, 16, 3, 8), (16, 20, 3, 16))  # of each GRU: inputs, channels, kernel on its state, and
DECODER = ((24, 32, 3, 16), (8, 16, 1, 8), (4, 16, 1, 4), (4, 8, 3, 2))  # the pixels on a side of a position


def gru_weights(inputs: int, channels: int, kernel: int) -> int:
    """The weights of a GRU with a 3×3 kernel on its input, without biases."""
    return 3 * channels * (9 * inputs + kernel**2 * channels)


def gru_macs(inputs: int, channels: int, kernel: int, scale: int) -> float:
    """The MACs for a pixel of a GRU. A position of its output covers a block of ``scale`` × ``scale`` pixels."""
    return gru_weights(inputs, channels, kernel) / scale**2


def test_operations_and_parameters_of_a_gru_network_are_those_counted_by_hand() -> None:
    config = codec_config(
        encoder_cell="gru",
        decoder_cell="gru",
        encoder_channels=(8, 12, 16, 20),
        decoder_channels=(24, 32, 16, 16, 8),
        encoder_hidden_kernels=(1, 3, 3),
        decoder_hidden_kernels=(3, 1, 1, 3),
        bits=5,
    )
    encoder = 27 * 8 / 4 + sum(gru_macs(*cell) for cell in ENCODER) + 20 * 5 / 256
    decoder = 5 * 24 / 256 + sum(gru_macs(*cell) for cell in DECODER) + 2 * 3
    cells = sum(gru_weights(*cell[:3]) + 3 * cell[1] for cell in ENCODER + DECODER)
    found = cost(config)
    assert found.encoder == pytest.approx(encoder / 1000)
    assert found.decoder == pytest.approx(decoder / 1000)
    assert found.parameters == cells + 28 * 8 + 21 * 5 + 6 * 24 + 3 * 3  # convolutions with their biases


def test_the_first_iteration_has_no_states_to_read_and_the_runs_of_priming() -> None:
    plain, primed = cost(codec_config(width=0.06)), cost(codec_config(width=0.06, priming=2))
    assert plain.first_encoder < plain.encoder
    assert (primed.encoder, primed.decoder) == (plain.encoder, plain.decoder)
    assert primed.first_encoder == pytest.approx(plain.first_encoder + 2 * plain.encoder, rel=0.01)
    assert plain.decoding(3) == plain.first_decoder + 2 * plain.decoder
    assert plain.coding(3) == plain.first_encoder + 2 * plain.encoder + plain.decoding(3)


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
