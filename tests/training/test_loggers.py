"""W&B where its server cannot be reached, or where nothing can be written to the user's home."""

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from rnncodec.training import loggers


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.startswith("WANDB") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("WANDB_MODE", *loggers.FOLDERS):  # restored after the test, if it sets them
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)


def test_a_run_goes_on_offline_where_the_server_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("WANDB_BASE_URL", address)
    loggers.wandb_logger(project="x", save_dir=str(tmp_path))
    assert os.environ["WANDB_MODE"] == "offline"
    assert f"W&B at {address} cannot be reached" in capsys.readouterr().err


def test_a_name_that_is_looked_up_for_minutes_does_not_hold_up_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def hang(*_: Any, **__: Any) -> None:
        time.sleep(60)
        raise OSError

    monkeypatch.setattr(loggers, "PATIENCE", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    started = time.monotonic()
    loggers.wandb_logger(project="x", save_dir=str(tmp_path))
    assert time.monotonic() - started < 30
    assert os.environ["WANDB_MODE"] == "offline"


def test_a_run_is_online_where_the_server_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        loggers.wandb_logger(project="x", save_dir=str(tmp_path))
    assert "WANDB_MODE" not in os.environ


def test_wandb_keeps_its_files_in_the_run_where_the_home_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").write_text("no folder, which root could not write to either")
    monkeypatch.setenv("WANDB_MODE", "offline")
    loggers.wandb_logger(project="x", save_dir=str(tmp_path / "run"))
    assert "nothing can be written to the home folder" in capsys.readouterr().err
    assert all(Path(os.environ[name]).is_relative_to(tmp_path / "run") for name in loggers.FOLDERS)


@pytest.mark.parametrize(("content", "count"), [("", -1), ("12", 12), ("1\0", -1), (None, -1)])
def test_a_damaged_count_of_steps_does_not_keep_a_run_from_going_on(
    tmp_path: Path, content: str | None, count: int
) -> None:
    if content is not None:
        (tmp_path / "last_step").write_text(content)
    assert loggers.read_count(tmp_path / "last_step") == count
