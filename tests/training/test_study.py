"""The study that docs/ABLATIONS.md is the page of: it compares at equal operations, and its command lines are those of
train.py."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

import rnncodec.training.run.resolvers  # noqa: F401
from rnncodec.network.codec import STRIDE
from rnncodec.network.config import CodecConfig
from rnncodec.network.cost import cost
from rnncodec.training.build import build_codec_module
from rnncodec.training.run.checks import check_options

ROOT = Path(__file__).parents[2]
CELLS = ("gru", "lstm", "residual_gru", "minimal_gru", "associative_lstm")


def composed(overrides: list[str]) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", overrides)


def operations(config: DictConfig) -> float:
    """kMAC a pixel and iteration, of encoder and decoder together."""
    counted = cost(CodecConfig.from_mapping(dict(config.model) | {"reconstruction": config.reconstruction.name}))
    return counted.encoder + counted.decoder


@pytest.fixture(scope="module")
def those_of_gru() -> float:
    return operations(composed(["experiment=study"]))


@pytest.mark.parametrize("cell", CELLS)
def test_cells_take_equal_operations(cell: str, those_of_gru: float) -> None:
    assert operations(composed(["experiment=study", f"model={cell}"])) == pytest.approx(those_of_gru, rel=0.05)


def command_lines() -> list[list[str]]:
    """The options of each command of the page that trains the study."""
    page = (ROOT / "docs" / "ABLATIONS.md").read_text()
    by_hand = re.sub(r"<!-- rnncodec ablation: .*?<!-- end -->", "", page, flags=re.DOTALL)
    unfolded = by_hand.replace("\\\n", " ")
    (best,) = re.findall(r'^    BEST="(.*)"$', unfolded, re.MULTILINE)
    lines = re.findall(r"^    python train\.py -m (.*)$", unfolded, re.MULTILINE)
    return [shlex.split(line.replace("$BEST", best)) for line in lines]


def jobs(options: list[str]) -> list[list[str]]:
    """The options of each job of a multirun, without those of Hydra."""
    own = [option for option in options if not option.startswith("hydra.")]
    (batch,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(own), None)
    return [list(job) for job in batch]


@pytest.mark.parametrize("options", command_lines(), ids=lambda options: " ".join(options[3:6]))
def test_command_lines_of_the_page_train_at_equal_operations_an_iteration(
    options: list[str], those_of_gru: float
) -> None:
    config = composed(jobs(options)[-1])
    check_options(config)
    assert build_codec_module(config).context is not None
    assert config.group is not None
    assert config.iterations * config.model.bits == 8 * 32
    assert config.model.projections <= config.iterations
    assert operations(config) == pytest.approx(those_of_gru, rel=0.1)


def rate_weights(options: list[str]) -> tuple[list[float], dict[float, float]]:
    """The weights of the rate in each part of the run, and the factors that make them the weights of a bit a pixel in
    the loss of an iteration, by the bits a pixel after it."""
    config: Any = composed(jobs(options)[0])
    raw = config.model.bits / STRIDE**2
    falls = [max(1, t / config.rate_plateau) ** -config.rate_power / raw for t in range(1, config.iterations + 1)]
    return list(config.rate_weight), {t * raw: fall for t, fall in enumerate(falls, start=1)}


def test_a_bit_weighs_the_same_in_more_or_fewer_iterations() -> None:
    base, base_falls = rate_weights(["experiment=study"])
    changed = [options for options in command_lines() if "group=bits" in options]
    assert len(changed) == 2
    for options in changed:
        weights, falls = rate_weights(options)
        same = falls.keys() & base_falls.keys()
        assert len(same) >= 4
        for rate in same:  # a weight is typed with three digits
            assert weights == [float(f"{weight * base_falls[rate] / falls[rate]:.3g}") for weight in base]
