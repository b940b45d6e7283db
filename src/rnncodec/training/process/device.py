"""The device, the precision, compilation and the number of threads for this machine."""

import torch

from rnncodec.cores import available_cores
from rnncodec.network.precision import multiplies_bfloat16


def resolve_accelerator(accelerator: str) -> str:
    """For ``auto``: ``cuda`` if there is a GPU, else ``cpu``. Any other value is returned as it is."""
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return accelerator


def resolve_precision(precision: str, accelerator: str) -> str:
    """For ``auto``: ``bf16-mixed`` if the device multiplies bfloat16 in hardware, else ``32-true``. Any other value is
    returned as it is."""
    if precision != "auto":
        return precision
    if accelerator in ("cuda", "gpu"):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = multiplies_bfloat16()
    return "bf16-mixed" if fast else "32-true"


def resolve_compile(compiled: bool | str, accelerator: str) -> bool:
    """For ``auto``: whether the device is a GPU."""
    return accelerator in ("cuda", "gpu") if compiled == "auto" else bool(compiled)


def threads_each(processes: int) -> int:
    """The threads of each of ``processes`` processes that share the cores of this machine."""
    return max(1, available_cores() // processes)
