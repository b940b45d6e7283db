"""Checks of the values that an evaluation logs into the offline file of a W&B run."""

from pathlib import Path

import pytest

from rnncodec.evaluation.results import Evaluation
from rnncodec.evaluation.tracking import prefix_of
from tests.training.wandb_file import history, records


def assert_evaluation_logged(file: Path, evaluation: Evaluation) -> None:
    """Raises AssertionError where the run's file lacks the evaluation's numbers, its curves, or its table."""
    prefix = prefix_of(evaluation)
    (logged,) = [step for step in history(file) if f"{prefix}/auc_ms_ssim" in step]
    assert logged[f"{prefix}/auc_ms_ssim"] == pytest.approx(evaluation.summary.area_ms_ssim)
    assert logged[f"{prefix}/auc_psnr_hvs"] == pytest.approx(evaluation.summary.area_psnr_hvs)
    assert logged[f"{prefix}/images.nrows"] == len(evaluation.about.measured) * evaluation.about.iterations
    assert logged[f"{prefix}/curves_ms-ssim-rgb_table.ncols"] == 3  # rate, curve, value

    config = {
        ".".join(update.nested_key): update.value_json
        for record in records(file)
        if record.HasField("config")
        for update in record.config.update
    }
    assert "lineseries" in config[f"_wandb.visualize.{prefix}/curves_ms-ssim-rgb"]
