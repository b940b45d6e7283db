"""Commands with several processes that a signal ends."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import as_completed
from pathlib import Path

import pytest

from rnncodec.atomic_file import replacing
from rnncodec.coding.signals import ended_by_signals
from rnncodec.coding.workers import Workers
from tests.waiting import wait_for

SECONDS = 60
PROGRAM = """
import sys
from pathlib import Path
from tests.coding.test_workers import command

if __name__ == "__main__":
    command(Path(sys.argv[1]))
"""


def alive(process: int) -> bool:
    """Whether a process is there, and not only its exit code."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def load(folder: Path) -> None:
    (folder / f"loading-{os.getpid()}").touch()
    time.sleep(SECONDS if (folder / "load-for-ever").exists() else 0)


def write_slowly(folder: Path, number: int) -> None:
    if number == 0:
        (folder / "finished").touch()
        return
    with replacing(folder / f"output-{number}") as temporary:
        temporary.write_text("half")
        (folder / f"writing-{os.getpid()}").touch()
        try:
            time.sleep(SECONDS)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # as the pool does when it sees that the other process has ended
            (folder / f"removing-{os.getpid()}").touch()


def command(folder: Path) -> None:
    """What the test starts, in a process of its own."""
    with ended_by_signals("finished files are kept"), Workers(2, load, folder) as workers:
        for done in as_completed([workers.submit(write_slowly, folder, number) for number in range(9)]):
            done.result()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to see other processes")
@pytest.mark.parametrize("to_all", [False, True])  # a terminal sends SIGINT to all processes of a command
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("state", ["loading", "writing"])
def test_a_signal_ends_all_processes_with_one_line_and_nothing_half_written(
    tmp_path: Path, state: str, number: signal.Signals, to_all: bool
) -> None:
    if state == "loading":
        (tmp_path / "load-for-ever").touch()
    (tmp_path / "main.py").write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "main.py", tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [*sys.path, str(Path(__file__).parents[2])]))},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: len(list(tmp_path.glob(f"{state}-*"))) == 2, SECONDS)
        (os.killpg if to_all else os.kill)(process.pid, number)
        _, printed = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert printed == f"interrupted by {number.name}; finished files are kept\n"
    assert not list(tmp_path.glob("*output*"))
    assert state == "loading" or len(list(tmp_path.glob("removing-*"))) == 2
    assert (tmp_path / "finished").exists() == (state == "writing")
    workers = [int(path.name.rpartition("-")[2]) for path in tmp_path.glob("*ing-*")]
    wait_for(lambda: not any(map(alive, workers)), SECONDS)
