"""Released weights (safetensors, with their config in the metadata) and their cards. Needs no torch."""

from importlib.resources import files
from pathlib import Path

from safetensors import safe_open

DEFAULT_MODEL = "light"
# Models that only earlier versions have, by the identities in their files: the name, and the last version that has it.
FORMER = {
    "198eeb20": ("small", "0.1.0"),
    "67b0519a": ("small", "0.1.0"),
    "e959440c": ("light", "0.1.0"),
    "f4e24083": ("light", "0.1.0"),
}
RUN_WEIGHTS = "weights.safetensors"  # the file in the folder of a run
RUN_CONFIG = "config.yaml"  # every option of the run, in the same folder


def released_models() -> dict[str, Path]:
    """The weights files in the package, by name."""
    return {path.stem: path for path in sorted(Path(str(files("rnncodec.weights"))).glob("*.safetensors"))}


def released_name(identity: bytes) -> str | None:
    """The name of the released model with this identity (see `rnncodec.weights.weights_file.model_identity`), with or
    without its context model, or None."""
    for name, path in released_models().items():
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
        if identity.hex() in (metadata.get("identity"), metadata.get("context_identity")):
            return name
    return None


def former_model(identity: bytes) -> str | None:
    """The model with this identity and the last version of the package that has it, in words; None if no version has
    had it, or this one has."""
    if identity.hex() not in FORMER:
        return None
    name, version = FORMER[identity.hex()]
    return f"{name} of rnncodec {version}"
