"""Commands on a disk that is full."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from rnncodec.atomic_file import naming
from rnncodec.cli import main
from tests.commands import Command
from tests.fuzz.seeds import make_evaluation

ROOT = Path(__file__).parents[2]
FILLER = "filler"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk without a free byte."""
    folder = tmp_path_factory.mktemp("disk")
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", folder], capture_output=True)
    except FileNotFoundError:
        pytest.skip("no mount")
    if mounted.returncode:
        pytest.skip("no file system can be mounted")
    try:
        with (folder / FILLER).open("wb", buffering=0) as file:
            file.write(bytes(2**20))  # of which as much is written as fits
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "photos").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (64, 64), "red").save(folder / "photos" / f"{name}.png")
    make_evaluation(folder / "result")
    return folder


def files_on(disk: Path) -> list[str]:
    return [str(path.relative_to(disk)) for path in disk.rglob("*") if path.is_file() and path.name != FILLER]


COMMANDS = {
    "compress photos/a.png -o {disk}/a.rnnc --model {weights}": "a.rnnc",
    "compress photos -o {disk}/folder --model {weights} --jobs 2": "folder/a.png.rnnc",
    "shards photos --out {disk}/shards": ".shards.part",
    "shards photos --out {disk}/shards --jobs 2": ".shards.part",
    "report result -o {disk}/report.html --photos 0": "report.html",
    "report result -o report.html --overwrite --plots {disk}/plots --photos 0": "ms-ssim-rgb.png",
}


@pytest.mark.parametrize(("line", "named"), COMMANDS.items())
def test_a_command_names_the_file_that_does_not_fit_and_leaves_no_part_of_it(
    disk: Path, inputs: Path, tiny_weights: Path, line: str, named: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(inputs)
    monkeypatch.setattr(sys, "argv", ["rnncodec", *line.format(disk=disk, weights=tiny_weights).split()])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert ended.value.code == 7
    errors = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error ")]
    assert all("No space left on device" in text for text in errors)
    assert any(named in error for error in errors)  # of two processes either may be first
    assert len(errors) == (2 if "folder" in line else 1)  # one for each photo
    assert files_on(disk) == []


@pytest.mark.parametrize("program", ["evaluate.py", "train.py"])
def test_programs_of_research_name_the_file_that_does_not_fit(
    disk: Path, inputs: Path, tiny_weights: Path, shards_dir: Path, program: str
) -> None:
    options = {
        "evaluate.py": [f"model={tiny_weights}", f"images={inputs / 'photos'}", "workers=1"],
        "train.py": ["model.width=0.03", "iterations=1", "data=shards", "trainer.max_steps=1", "logger=csv"],
    }[program]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    ours = {"RNNCODEC_OUTPUTS": str(disk / "outputs"), "RNNCODEC_DATA": str(shards_dir), "HOME": str(inputs)}
    environment = kept | ours | {"PYTHONPATH": str(ROOT / "src")}
    done = Command(ROOT / program, *options, environment=environment).wait()
    shutil.rmtree(disk / "outputs")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "No space left on device" in line]
    assert str(disk / "outputs") in line
    assert files_on(disk) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named_where_the_system_names_no_file() -> None:
    with pytest.raises(OSError, match="No space") as raised, naming("table.csv"), open("/dev/full", "w") as file:
        file.write("a line")
    assert raised.value.filename == "table.csv"
