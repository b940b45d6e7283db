"""Signals that stop a run, and terminals that close."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rnncodec.training.process.interruption import SIGNALS, STOPPED, interruption
from rnncodec.training.run.checkpoints import steps_in
from rnncodec.training.run.folder import CHECKPOINTS, OUTPUT
from rnncodec.training.run.outcome import read_result
from rnncodec.weights.weights_file import load_model
from tests.commands import Command
from tests.training.test_resume import train as train_here
from tests.training.test_runs import Trainer
from tests.training.test_sweeps import SWEPT, has_checkpoint, train, wait_for

__all__ = ["train", "train_here"]  # fixtures

ENDLESS = [*SWEPT, "trainer.max_steps=100000", "data.steps_per_epoch=100000", "data.val_photos=1"]


@pytest.mark.parametrize(
    ("number", "place"), [(number, ("step", "validation")[index % 2]) for index, number in enumerate(SIGNALS)]
)
def test_signal_stops_a_run_with_a_checkpoint_of_its_step_and_newest_weights(
    train_here: Callable[..., Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    number: signal.Signals,
    place: str,
) -> None:
    handlers = {each: signal.getsignal(each) for each in signal.Signals if each not in (signal.SIGKILL, signal.SIGSTOP)}
    kill = f"+callbacks.kill={{_target_:tests.training.watchers.SignalAt,number:{int(number)},place:{place}}}"
    with pytest.raises(SystemExit) as stopped:
        train_here(kill)
    assert stopped.value.code == STOPPED == 75
    step = 3 if place == "step" else 4
    folder = tmp_path / "run"
    assert load_model(folder).training_info["steps"] == step
    printed = capfd.readouterr().err
    assert_stopped(folder, printed)
    assert f"stopped by {number.name} after step {step}; a checkpoint is saved; resume={folder} goes on" in printed
    assert handlers == {each: signal.getsignal(each) for each in handlers}
    assert interruption.received == number
    train_here("callbacks.kill.place=nowhere", resume=True)
    assert read_result(folder) is not None


def test_signal_that_is_ignored_when_a_run_starts_stays_ignored(train_here: Callable[..., Path]) -> None:
    kill = f"{{_target_:tests.training.watchers.SignalAt,number:{int(signal.SIGHUP)},place:step}}"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert read_result(train_here(f"+callbacks.kill={kill}")) is not None
    finally:
        signal.signal(signal.SIGHUP, before)


def assert_stopped(run: Path, printed: str) -> None:
    """In one line, with a checkpoint of the step that it names."""
    lines = [line for line in printed.splitlines() if "stopped by" in line and str(run) in line]
    assert len(lines) == 1, printed
    step = re.search(r"after step (\d+);", lines[0])
    assert step, lines
    assert steps_in(run / CHECKPOINTS / "last.ckpt") == int(step[1])


def assert_ends_soon(command: Command, code: int) -> str:
    """Returns what it has printed."""
    since = time.monotonic()
    done = command.wait(60)
    assert time.monotonic() - since < 20
    assert done.returncode == code, done.stderr
    return str(done.stderr)


def running() -> dict[int, tuple[int, int]]:
    """The parent and the session of each process that has not ended."""
    found = {}
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit():
                state, parent, _, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
                if state != "Z":
                    found[int(process.name)] = (int(parent), int(session))
    return found


def children(pid: int) -> list[int]:
    return [process for process, (parent, _) in running().items() if parent == pid]


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="finds processes as Linux shows them")
def test_two_processes_stop_with_a_checkpoint_of_their_step_and_end_when_one_is_killed(
    train: Trainer,
) -> None:
    command = train.start(*ENDLESS, "trainer.devices=2")
    wait_for(lambda: any(map(has_checkpoint, train.runs())))
    os.killpg(command.pid, signal.SIGINT)
    printed = assert_ends_soon(command, STOPPED)
    (run,) = train.runs()
    assert_stopped(run, printed)
    stopped = steps_in(run / CHECKPOINTS / "last.ckpt")
    assert stopped is not None

    command = train.start(f"resume={run}")
    wait_for(lambda: (steps_in(run / CHECKPOINTS / "last.ckpt") or 0) > stopped)
    (first,) = children(command.pid)
    (second,) = children(first)
    os.kill(second, signal.SIGKILL)
    assert f"training of {run} failed" in assert_ends_soon(command, 1)
    assert command.pid not in [session for _, session in running().values()]


def test_sweep_whose_terminal_closes_stops_with_a_checkpoint_of_its_step(train: Trainer) -> None:
    ours, theirs = pty.openpty()
    command = train.start("-m", *ENDLESS, "seed=0,1", terminal=os.ttyname(theirs))
    os.close(theirs)
    os.set_blocking(ours, False)

    def trains() -> bool:
        with contextlib.suppress(OSError):  # a terminal that nobody reads makes its programs wait
            os.read(ours, 100_000)
        return any(map(has_checkpoint, train.runs()))

    wait_for(trains)
    os.close(ours)
    assert_ends_soon(command, STOPPED)
    (run,) = train.runs()
    printed = (run.parent / OUTPUT).read_text()
    assert_stopped(run, printed)
    assert "stopped by SIGHUP" in printed
    assert "cut off" in printed  # the table


def test_ctrl_c_ends_each_job_of_joblib_with_a_checkpoint_of_its_step(train: Trainer) -> None:
    options = ["seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=3"]  # one process has no job
    command = train.start("-m", *ENDLESS, *options)
    wait_for(lambda: sum(map(has_checkpoint, train.runs())) == 2)
    os.killpg(command.pid, signal.SIGINT)
    printed = assert_ends_soon(command, STOPPED)
    for run in train.runs():
        assert_stopped(run, printed)
    assert "Traceback" not in printed


PRINTS = """
import sys
from pathlib import Path
from rnncodec.training.process.hangup import outlive_terminal
outlive_terminal(Path(sys.argv[1]))
print("first", flush=True)
sys.stdin.readline()
print("second")
print("third", file=sys.stderr)
"""


def test_what_nobody_reads_is_printed_into_a_file_of_the_run(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PRINTS, str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"first\n"
    process.stdout.close()  # as `tee` does, which Ctrl-C ends too
    process.stdin.write(b"\n")
    process.stdin.close()
    assert process.wait(60) == 0
    assert (tmp_path / OUTPUT).read_text() == "second\nthird\n"
