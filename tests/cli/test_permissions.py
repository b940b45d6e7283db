"""The commands as an ordinary user, who may not read or write everything. Root may: where these tests run as root, they
are nobody while a command runs."""

import importlib.readers  # noqa: F401 (nobody may not read root's Python)
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

import rnncodec
from rnncodec.cli import main
from tests.fuzz.seeds import make_evaluation

NOBODY = 65534
ROOT = os.geteuid() == 0

Run = Callable[[str], tuple[int, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> Iterator[Path]:
    """A folder that everybody may look into: ``open`` may be written to; ``closed`` holds the same files, and may not
    be looked into; of ``files`` none may be read, and nothing may be written beside them."""
    base = tmp_path_factory.mktemp("place")
    below = Path(tempfile.gettempdir())
    for folder in [base, *(each for each in base.parents if below in each.parents)]:  # pytest keeps them to itself
        folder.chmod(0o755)
    kept = base / "files"
    kept.mkdir()
    Image.new("RGB", (16, 16)).save(kept / "photo.png")
    shutil.copy(tiny_weights, kept / "tiny.safetensors")
    (kept / "photo.rnnc").write_bytes(rnncodec.compress(Image.new("RGB", (16, 16)), model=tiny_weights))
    make_evaluation(kept / "result")
    for name in ("closed", "readable"):
        shutil.copytree(kept, base / name)
    for path in [base / "readable", *(base / "readable").rglob("*")]:
        path.chmod(0o755)
    (base / "open").mkdir()
    (base / "open").chmod(0o777)
    for path in kept.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o000)
    (base / "closed").chmod(0o000)
    yield base
    (base / "closed").chmod(0o755)


REFUSED = [
    "compress files/photo.png -o open/x.rnnc",
    "compress closed/photo.png -o open/x.rnnc",
    "compress closed -o open",
    "compress readable/photo.png -o closed/x.rnnc",
    "compress readable/photo.png -o files/x.rnnc",
    "compress readable/photo.png -o files/new/x.rnnc",
    "compress readable/photo.png -o open/x.rnnc --model files/tiny.safetensors",
    "compress readable/photo.png -o open/x.rnnc --model closed/tiny.safetensors",
    "compress readable/photo.png -o open/x.rnnc --model closed",
    "decompress readable/photo.rnnc -o closed/x.png --model readable/tiny.safetensors",
    "decompress readable/photo.rnnc -o open/x.png --model closed/tiny.safetensors",
    "decompress readable/photo.rnnc -o open/x.png --model files/tiny.safetensors",
    "decompress closed/photo.rnnc -o open/x.png --model readable/tiny.safetensors",
    "truncate closed/photo.rnnc --max-bytes 100 -o open/x.rnnc",
    "truncate readable/photo.rnnc --max-bytes 100 -o closed/x.rnnc",
    "info closed/photo.rnnc",
    "info files/photo.rnnc",
    "info --model closed/tiny.safetensors",
    "export readable/tiny.safetensors -o closed",
    "export readable/tiny.safetensors -o closed/new",
    "export closed/tiny.safetensors -o open/onnx",
    "web -o closed",
    "web -o closed/new",
    "report closed/result -o open/report.html",
    "report files/result -o open/report.html",
    "report readable/result -o closed/report.html --photos 0",
    "report readable/result -o files/report.html --photos 0",
    "report readable/result -o open/report.html --plots closed/plots --photos 0 --overwrite",
    "shards closed --out open/shards",
    "shards readable/photo.png --out closed/shards --min-size 1",
    "shards readable/photo.png --out files/shards --min-size 1",
    "ablation closed -o open/ablations.md",
]
ALLOWED = "compress readable/photo.png -o open/a.rnnc --model readable/tiny.safetensors"


@pytest.fixture
def run(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command, and returns its exit code and what it printed on standard error."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(place / "open"))

    def command(line: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["rnncodec", *line.split()])
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        if ROOT:
            os.setegid(NOBODY)
            os.seteuid(NOBODY)
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), capsys.readouterr().err
        finally:
            if ROOT:
                os.seteuid(0)
                os.setegid(0)
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return 0, capsys.readouterr().err

    return command


@pytest.mark.parametrize("line", REFUSED)
def test_what_may_not_be_read_or_written_ends_in_a_sentence(run: Run, line: str) -> None:
    code, printed = run(line)
    assert 0 < code < 128, printed
    assert "unexpected" not in printed
    assert "error" in printed
    assert len(printed.strip().splitlines()) <= 3


def test_the_ordinary_user_may_do_what_is_allowed(run: Run, place: Path) -> None:
    code, printed = run(ALLOWED)
    assert code == 0, printed
    assert (place / "open" / "a.rnnc").is_file()
