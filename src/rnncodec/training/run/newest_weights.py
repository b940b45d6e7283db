"""What the exported weights of a run say of themselves. They are not loaded."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from rnncodec.fileformat.json_input import parse_json
from rnncodec.training.run.folder import RESULT
from rnncodec.weights.released import RUN_WEIGHTS


def unfinished(run: Path) -> str:
    """How long the weights in the folder ``run`` are trained, as in ``after step 48 of 1000``; "" if the run is
    finished, or if they do not say."""
    if (run / RESULT).is_file():
        return ""
    try:
        training = parse_json(metadata(run)["training"])
        training = training.get("context", training)  # of a context model, which was trained last
        return f"after step {training['steps']} of {training['options']['trainer']['max_steps']}"
    except (KeyError, TypeError, ValueError, AttributeError):  # no weights, or not those of a run
        return ""


def has_other_weights(run: Path, identity: str) -> bool:
    """Whether the weights in the folder ``run`` have another identity than this, both with their context model and
    without it. False if there are no weights."""
    known = metadata(run)
    return "identity" in known and identity not in (known["identity"], known.get("context_identity"))


def metadata(run: Path) -> Mapping[str, str]:
    """The metadata of the weights in the folder ``run``; none if there is no such file that can be read."""
    try:
        with safe_open(run / RUN_WEIGHTS, framework="np") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError):
        return {}
