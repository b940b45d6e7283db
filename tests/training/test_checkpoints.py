"""Which checkpoint a resumed run goes on from."""

from pathlib import Path

import pytest
import torch

from rnncodec.errors import TrainingError
from rnncodec.training.run.checkpoints import newest


class Program:
    """An object that makes a file when it is unpickled."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.made,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, steps in {"best": 300, "last": 400, "last-v1": 200}.items():
        torch.save({"global_step": steps, "state_dict": {"weight": torch.zeros(1000)}}, tmp_path / f"{name}.ckpt")
    return tmp_path


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_checkpoint_with_the_most_steps_is_taken(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert newest(folder) == folder / "last.ckpt"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("damage", [cut_off, change_a_byte, empty])
def test_damaged_checkpoint_is_named_and_passed_over(folder: Path, damage, capsys: pytest.CaptureFixture[str]) -> None:
    damage(folder / "last.ckpt")
    assert newest(folder) == folder / "best.ckpt"
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "last.ckpt; training goes on from best.ckpt, after step 300" in message


def test_code_in_a_checkpoint_is_not_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"global_step": 500, "more": Program(folder / "made")}, folder / "stranger.ckpt")
    assert newest(folder) == folder / "last.ckpt"
    assert "more than tensors and plain values: stranger.ckpt; training goes on from last.ckpt" in (
        capsys.readouterr().err.replace("\n", " ")
    )
    assert not (folder / "made").exists()


@pytest.mark.parametrize("content", [[1, 2], {"global_step": None}, {"global_step": "x"}, 7])
def test_file_of_another_kind_is_passed_over(folder: Path, content: object) -> None:
    torch.save(content, folder / "other.ckpt")
    assert newest(folder) == folder / "last.ckpt"


def test_last_checkpoint_comes_before_the_best_of_the_same_step(folder: Path) -> None:
    (folder / "best.ckpt").write_bytes((folder / "last.ckpt").read_bytes())
    assert newest(folder) == folder / "last.ckpt"


def test_run_whose_checkpoints_are_all_damaged_does_not_start_over(folder: Path) -> None:
    for path in folder.iterdir():
        cut_off(path)
    with pytest.raises(TrainingError, match=r"is damaged, or .*: best.ckpt, last-v1.ckpt, last.ckpt"):
        newest(folder)


def test_folder_without_checkpoints_starts_from_nothing(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    assert newest(tmp_path / "absent") is None
