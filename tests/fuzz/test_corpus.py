"""What the fuzzer has found once, and a few files of its kind, without it."""

import os
from pathlib import Path
from random import Random

import pytest

from tests.commands import Command
from tests.fuzz.kinds import KINDS, use
from tests.fuzz.seeds import make_seeds


@pytest.fixture(scope="module")
def seeds(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    make_seeds(folder, exported)
    return folder


def test_files_that_found_something_end_in_a_sentence_in_time_and_memory(seeds: Path) -> None:
    corpus = Path(__file__).parent / "corpus"
    done = Command("-m", "tests.fuzz.replay", corpus, seeds, environment=os.environ).wait(280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stdout.startswith("0 files")


@pytest.mark.parametrize("kind", KINDS)
def test_good_and_changed_files_end_in_a_picture_or_in_a_sentence(kind: str, seeds: Path, tmp_path: Path) -> None:
    good = sorted(seeds.glob(KINDS[kind].seeds))
    assert good
    for number, path in enumerate(good * 4):
        use(kind, path.read_bytes(), seeds, tmp_path)
        use(kind, KINDS[kind].mutate(path.read_bytes(), Random(number)), seeds, tmp_path)
