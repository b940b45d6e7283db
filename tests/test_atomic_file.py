import os
import stat
import threading
from pathlib import Path

import pytest

from rnncodec.atomic_file import replacing


def write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ne")
            assert path.read_text() == "old"
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        write_half()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("file", "old")]
    write(path, "new")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("file", "new")]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    with replacing(path) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        temporary.write_text("new")
    assert (stat.S_IMODE(path.stat().st_mode), path.read_text()) == (mode, "new")


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "図" * 85, os.fsdecode(b"\xff" * 255), "short"])
def test_names_may_have_as_many_bytes_as_a_file_system_allows(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "new")
    write(tmp_path / name, "newer")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [(name, "newer")]


def test_long_names_that_begin_alike_have_temporary_names_of_their_own(tmp_path: Path) -> None:
    with replacing(tmp_path / ("x" * 200 + "a")) as first, replacing(tmp_path / ("x" * 200 + "b")) as second:
        assert first != second
        first.write_text("a")
        second.write_text("b")


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_kept_and_the_file_that_it_leads_to_is_replaced(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "folder" / "file", tmp_path / "link"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to(target)
    write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_a_named_pipe_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write(pipe, "new")
    reader.join()
    assert read == ["new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_stays_one(tmp_path: Path) -> None:
    node = tmp_path / "null"
    try:
        os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        node.write_text("")
    except OSError:
        pytest.skip("needs the right to make a device")
    write(node, "new")
    assert stat.S_ISCHR(node.stat().st_mode)
    write(Path("/dev/null"), "new")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
