from pathlib import Path

from benchmarks.data import data_of, speed


def test_the_speed_of_shards_is_measured(shards_dir: Path) -> None:
    options = [f"data.train={shards_dir}/train", "data.shuffle_buffer=8", "data.batch_size=4"]
    first, patches = speed(data_of(options), workers=0, seconds=0.1)
    assert first > 0
    assert patches > 0
