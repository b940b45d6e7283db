"""Limits on what users ask for. Needs no torch.

They bound the pixels, the blocks of 16×16 pixels and the layers of a picture. A file of a few bytes can claim a huge
picture, a thin one whose blocks are nearly empty, or very many layers; without limits it would take all memory, or time
without end.
"""

from rnncodec.fileformat.bitstream import STRIDE

MOST_EFFORT = 3  # the highest level of the search in `rnncodec.coding.code_search`

# Where Pillow itself refuses a file. A picture of this size takes some 2 GB: a few bytes a pixel for the picture, and
# the network's memory for one tile.
MAX_PIXELS = 178_956_970

# The limit where the picture after each layer is shown: the network's states of all tiles are kept, which take several
# times the memory of the picture.
MAX_PIXELS_OF_ALL_LAYERS = MAX_PIXELS // 4

LAYERS = 32  # of the largest picture that is allowed: more than networks are trained for

RAISING = "raise the limit with --max-pixels (in Python max_pixels=) if you trust the file and have the memory"


def most_blocks(max_pixels: int) -> int:
    """The blocks that a picture may have where it may have ``max_pixels`` pixels: a quarter more than those pixels
    fill, and a few, because a picture also has blocks that it fills in part."""
    return max_pixels * 5 // (4 * STRIDE * STRIDE) + 64


def too_large(width: int, height: int, max_pixels: int, layers: int = 1) -> str | None:
    """A message for the user if a picture has more than ``max_pixels`` pixels, or more than `most_blocks`, or if its
    layers behind the first LAYERS have more than `most_blocks` together. Else None."""
    if width * height > max_pixels:
        limit = f"{max_pixels:,} pixels"
        return f"its {width}×{height} pixels are more than the limit of {limit}; {RAISING}"
    blocks, most = -(-width // STRIDE) * -(-height // STRIDE), most_blocks(max_pixels)
    if blocks > most:
        return (
            f"its {width}×{height} pixels lie in {blocks:,} blocks of {STRIDE}×{STRIDE} pixels, more than the limit of "
            f"{most:,} blocks; {RAISING}"
        )
    if blocks * (layers - LAYERS) > most:
        deepest = LAYERS + most // blocks
        return (
            f"its {layers} layers of {width}×{height} pixels are more than the limit of {deepest} layers at this size; "
            f"ask for fewer with --layers or --iterations (in Python layers=, iterations=), or {RAISING}"
        )
    return None
