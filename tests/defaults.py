"""Configs and objects with the default values of ``conf/``, for tests that care for a few of them alone."""

from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from rnncodec.data.datamodule import PatchDataModule
from rnncodec.entropy.config import BinaryRNNConfig, CheckerboardConfig, RecurrentCheckerboardConfig
from rnncodec.evaluation.measurement import EvaluationOptions
from rnncodec.network.config import CodecConfig

CONF = Path(__file__).parents[1] / "conf"
SHAPE = {"bits": 32, "iterations": 16}


def values(path: str) -> dict[str, Any]:
    """The options in a file of ``conf/``, without its list of defaults."""
    options = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(CONF / path), resolve=False))
    return {name: value for name, value in options.items() if name != "defaults"}


def codec_config(**changes: Any) -> CodecConfig:
    """The residual GRU, additive, at full width."""
    base = values("base/model.yaml") | values("model/residual_gru.yaml") | {"reconstruction": "additive", "width": 1.0}
    return CodecConfig.from_mapping(base | changes)


def checkerboard_config(**changes: Any) -> CheckerboardConfig:
    options = SHAPE | values("context/checkerboard.yaml") | changes
    del options["name"]
    return CheckerboardConfig.from_mapping(options)


def recurrent_checkerboard_config(**changes: Any) -> RecurrentCheckerboardConfig:
    options = SHAPE | values("context/recurrent_checkerboard.yaml") | changes
    del options["name"]
    return RecurrentCheckerboardConfig.from_mapping(options)


def binary_rnn_config(**changes: Any) -> BinaryRNNConfig:
    options = SHAPE | values("context/binary_rnn.yaml") | changes
    del options["name"]
    return BinaryRNNConfig.from_mapping(options)


def patches(train: str, val: str, **changes: Any) -> PatchDataModule:
    return PatchDataModule(train, val, **(values("base/data.yaml") | {"seed": 0} | changes))


def evaluation_options(model: Path, images: list[Path], **changes: Any) -> EvaluationOptions:
    """By one process, without baselines."""
    options: dict[str, Any] = {"iterations": None, "baselines": (), "anchors": None, "compare_to": "jpeg"}
    options |= {"dataset": "two", "name": "tiny", "workers": 1, "device": "cpu"}
    return EvaluationOptions(str(model), images, **(options | changes))
