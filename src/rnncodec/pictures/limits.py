"""Limits on what users ask for. Needs no torch.

A picture may have at most so many pixels. A file of a few bytes can claim a huge picture; without a limit it would take
all memory.
"""

MOST_EFFORT = 3  # the highest level of the search in `rnncodec.coding.code_search`

# Where Pillow itself refuses a file. A picture of this size takes some 2 GB: a few bytes a pixel for the picture, and
# the network's memory for one tile.
MAX_PIXELS = 178_956_970


def too_large(width: int, height: int, max_pixels: int) -> str | None:
    """A message for the user if a picture has more than ``max_pixels`` pixels, else None."""
    if width * height <= max_pixels:
        return None
    return (
        f"its {width}×{height} pixels are more than the limit of {max_pixels:,} pixels; raise the limit with "
        "--max-pixels (in Python max_pixels=) if you trust the file and have the memory"
    )
