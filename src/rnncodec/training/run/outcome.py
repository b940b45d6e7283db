"""How a run ended: finished, with its last figures, or failed, with the reason. Both are in its folder."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnncodec.atomic_file import replacing
from rnncodec.training.run.folder import CHECKPOINTS, CONFIG, FAILURE, RESULT


def write_result(folder: Path, steps: int, metrics: Mapping[str, float], pruned: bool) -> None:
    """Say that the run in ``folder`` is finished after ``steps`` steps, with ``metrics``, or that a search has pruned
    it. Metrics that are not finite are left out: JSON has no number for them."""
    finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    content = {"steps": steps, "pruned": pruned, "metrics": finite}
    with replacing(folder / RESULT) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_result(folder: Path) -> dict[str, Any] | None:
    """``{"steps": …, "pruned": …, "metrics": {name: value}}`` of a finished run, else None."""
    path = folder / RESULT
    return json.loads(path.read_text()) if path.is_file() else None


def write_failure(folder: Path, reason: str) -> None:
    """Say why the run in ``folder`` failed, if it is not said already."""
    if not (folder / FAILURE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FAILURE).write_text(reason.strip() + "\n")


def forget_failure(folder: Path) -> None:
    """Forget that a job was refused in ``folder``."""
    (folder / FAILURE).unlink(missing_ok=True)


def started_again(folder: Path) -> None:
    """Forget how the run in ``folder`` ended, because it goes on."""
    for name in (RESULT, FAILURE):
        (folder / name).unlink(missing_ok=True)


def state(folder: Path) -> tuple[str, str]:
    """``finished``, ``pruned``, ``failed``, ``cut off`` or ``not started``, and the figures or the reason."""
    if (folder / FAILURE).is_file():  # beside a result: another job was refused in the folder of a finished one
        return "failed", (folder / FAILURE).read_text().strip()
    result = read_result(folder)
    if result is not None:
        loss = result["metrics"].get("val/loss", math.nan)
        return "pruned" if result["pruned"] else "finished", f"step {result['steps']}, val/loss {loss:.5f}"
    if (folder / CONFIG).is_file():
        return "cut off", "after its last checkpoint" if any((folder / CHECKPOINTS).glob("*.ckpt")) else "no checkpoint"
    return "not started", ""
