"""What the machine is good at."""

import os

import torch


def resolve_accelerator(accelerator: str) -> str:
    """``auto`` as ``cuda`` where there is a GPU, else ``cpu``; any other value as it is."""
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return accelerator


def resolve_precision(precision: str, accelerator: str) -> str:
    """``auto`` as ``bf16-mixed`` where the device multiplies bfloat16 in hardware, else ``32-true``."""
    if precision != "auto":
        return precision
    if accelerator in ("cuda", "gpu"):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # newer than torch 2.8
        fast = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return "bf16-mixed" if fast else "32-true"


def share_cores(processes: int) -> None:
    """Give this process its share of the cores; the rest belongs to the other ``processes`` - 1 of its kind."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
