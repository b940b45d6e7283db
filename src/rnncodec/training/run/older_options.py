"""Options that runs of older versions do not name, or alone do."""

from typing import Any

from rnncodec.network.config import ADDED

# The values that hold for runs whose config lacks these options: their version did not have them yet, or no longer.
UNNAMED: dict[str, Any] = {
    "model": ADDED,
    "data": {"smooth": 0.0},
    "loss": {"ssimulacra2": 0},
    "optimizer": {"fused": False},
    "rate_slope": 0.0,
    "rate_settled": 1,
}
GONE = ("rate_slope", "rate_settled")  # those that this version has no longer
