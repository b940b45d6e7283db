from pathlib import Path

import numpy as np

from benchmarks.pictures import HEIGHT, WIDTH, pictures, rates


def test_made_pictures_are_as_smooth_as_their_names_say() -> None:
    made = {name: np.asarray(picture, float) for name, picture in pictures(None).items()}
    assert all(pixels.shape == (HEIGHT, WIDTH, 3) for pixels in made.values())
    steps = {name: np.abs(np.diff(pixels, axis=1)).mean() for name, pixels in made.items()}
    assert 0 == steps["flat"] < steps["gradient"] < steps["blurred"] < steps["text"] < steps["noise"]


def test_rates_are_those_of_files_that_end_after_each_layer(tiny_weights: Path) -> None:
    picture = pictures(None)["flat"].resize((96, 64))
    found = rates(picture, str(tiny_weights), 3)
    assert len(found) == 3
    assert sorted(found) == found
