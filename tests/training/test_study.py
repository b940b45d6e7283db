"""The experiment that compares cells does so at equal operations."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

import rnncodec.training.run.resolvers  # noqa: F401
from rnncodec.network.config import CodecConfig
from rnncodec.network.cost import cost

CONF = Path(__file__).parents[2] / "conf"
CELLS = ("gru", "lstm", "residual_gru", "minimal_gru", "associative_lstm")


def operations(cell: str) -> float:
    """kMAC a pixel and iteration, of encoder and decoder together."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        model = compose("train", ["experiment=study", f"model={cell}"]).model
    counted = cost(CodecConfig.from_mapping(dict(model) | {"reconstruction": "additive"}))
    return counted.encoder + counted.decoder


@pytest.mark.parametrize("cell", CELLS)
def test_cells_take_equal_operations(cell: str) -> None:
    assert operations(cell) == pytest.approx(operations("gru"), rel=0.05)
