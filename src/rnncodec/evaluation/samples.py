"""Photos to measure on and to show that need no download: those the scikit-image wheel carries."""

from importlib.resources import files
from pathlib import Path

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png")


def sample_images() -> list[Path]:
    """Their files. A network trained on ``data=samples`` has seen all but the coffee."""
    return [Path(str(files("skimage") / "data" / photo)) for photo in PHOTOS]
