"""Sample photos for an evaluation that need no download: they are in the scikit-image package."""

from importlib.resources import files
from pathlib import Path

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png")


def sample_images() -> list[Path]:
    """The files of PHOTOS. A network trained on ``data=samples`` has seen all but the coffee."""
    return [Path(str(files("skimage") / "data" / photo)) for photo in PHOTOS]
