import functools
import http.server
import shlex
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncodec.data.photos import read_photos
from rnncodec.data.urls import expand_shards
from rnncodec.errors import DataError


def stop(error: Exception) -> bool:
    raise error


def photo_numbers(shards: list[str]) -> list[int]:
    """Which of the flat photos are in ``shards``."""
    return [int(pixels[0, 0, 0]) // 20 for pixels in read_photos(shards, stop)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in (2, 0, 1, 10):
        (tmp_path / f"train-{index:03d}.tar").touch()
    (tmp_path / "val-000.tar").touch()
    (tmp_path / "manifest.json").touch()
    return tmp_path


def names(shards: list[str]) -> list[str]:
    return [Path(shard).name for shard in shards]


def test_brace_lists_may_be_longer_than_a_name_of_a_file(tmp_path: Path) -> None:
    numbers = [f"{number:06d}" for number in range(50)]
    for number in numbers:
        (tmp_path / f"{number}.tar").touch()
    assert len(expand_shards(f"{tmp_path}/{{{','.join(numbers)}}}.tar")) == 50


def test_a_folder_stands_for_its_tars_in_order(folder: Path) -> None:
    everything = ["train-000.tar", "train-001.tar", "train-002.tar", "train-010.tar", "val-000.tar"]
    assert names(expand_shards(str(folder))) == everything


def test_a_glob_is_expanded_in_order(folder: Path) -> None:
    assert names(expand_shards(f"{folder}/train-00*.tar")) == ["train-000.tar", "train-001.tar", "train-002.tar"]


def test_a_brace_list_is_expanded_in_its_own_order(folder: Path) -> None:
    assert names(expand_shards(f"{folder}/train-{{000..002}}.tar")) == [
        "train-000.tar",
        "train-001.tar",
        "train-002.tar",
    ]
    assert names(expand_shards(f"{folder}/{{val-000,train-010}}.tar")) == ["val-000.tar", "train-010.tar"]


def test_a_list_of_all_forms_keeps_its_order(folder: Path) -> None:
    spec = [f"{folder}/val-*.tar", "http://example.org/{a,b}.tar", f"{folder}/train-{{001..002}}.tar", "pipe:cat {x}"]
    assert [shard.removeprefix(f"{folder}/") for shard in expand_shards(spec)] == [
        "val-000.tar",
        "http://example.org/a.tar",
        "http://example.org/b.tar",
        "train-001.tar",
        "train-002.tar",
        "pipe:cat {x}",
    ]


@given(first=st.integers(0, 50), count=st.integers(1, 60), width=st.integers(1, 6))
def test_brace_ranges_count_up_with_leading_zeros(first: int, count: int, width: int) -> None:
    last = first + count - 1
    shards = expand_shards(f"https://example.org/s-{{{first:0{width}d}..{last:0{width}d}}}.tar")
    assert [int(shard[len("https://example.org/s-") : -len(".tar")]) for shard in shards] == list(
        range(first, last + 1)
    )
    assert all(len(shard) >= len("https://example.org/s-.tar") + width for shard in shards)


@pytest.mark.parametrize("name", ["photos[1]", "photos{1,2}", "what?", "a space"])
def test_a_folder_with_any_name_is_read(folder: Path, name: str) -> None:
    odd = folder / name
    odd.mkdir()
    (odd / "shard-000000.tar").touch()
    assert expand_shards(str(odd)) == [str(odd / "shard-000000.tar")]
    assert expand_shards(str(odd / "shard-000000.tar")) == [str(odd / "shard-000000.tar")]


@pytest.mark.parametrize("spec", ["nowhere", "nowhere/*.tar", "nowhere-{0..3}.tar", "train-{000..003}.tar"])
def test_shards_that_do_not_exist_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    monkeypatch.chdir(folder)
    missing = {"nowhere-{0..3}.tar": "nowhere-0.tar", "train-{000..003}.tar": "train-003.tar"}.get(spec, spec)
    with pytest.raises(DataError, match="no shards found at") as caught:
        expand_shards(spec)
    assert f"'{missing}'" in str(caught.value)


def test_a_folder_without_tars_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=tmp_path.name):
        expand_shards(str(tmp_path))


@pytest.mark.parametrize("spec", ["", [], [""]])
def test_no_shards_at_all_are_asked_for(spec: str | list[str]) -> None:
    with pytest.raises(DataError, match="no shards given"):
        expand_shards(spec)


def test_local_shards_are_read(flat_shards: Callable[[int], list[str]]) -> None:
    folder = Path(flat_shards(5)[0]).parent
    assert photo_numbers(expand_shards(str(folder))) == list(range(12))
    assert photo_numbers(expand_shards(f"{folder}/shard-{{000001..000002}}.tar")) == list(range(5, 12))


def test_the_output_of_a_command_is_read(flat_shards: Callable[[int], list[str]]) -> None:
    assert photo_numbers(expand_shards(f"pipe:cat {shlex.quote(flat_shards(5)[1])}")) == list(range(5, 10))


@pytest.fixture
def server(flat_shards: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a web server that offers the flat shards of five photos."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    folder = str(Path(flat_shards(5)[0]).parent)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset reads http with curl")
def test_shards_on_a_web_server_are_read(server: str) -> None:
    assert photo_numbers(expand_shards(f"{server}/shard-{{000000..000002}}.tar")) == list(range(12))


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset reads http with curl")
def test_a_shard_missing_on_a_web_server_is_an_error_to_go_on_from(server: str) -> None:
    errors: list[Exception] = []

    def go_on(error: Exception) -> bool:
        errors.append(error)
        return True

    shards = expand_shards([f"{server}/nowhere.tar", f"{server}/shard-000001.tar"])
    assert [int(pixels[0, 0, 0]) // 20 for pixels in read_photos(shards, go_on)] == list(range(5, 10))
    assert errors


@pytest.fixture
def remote(flat_shards: Callable[[int], list[str]]) -> Iterator[str]:
    """A folder of fsspec's own file system with the flat photos in three shards."""
    files = fsspec.filesystem("memory")
    for index, path in enumerate(flat_shards(4)):
        files.pipe(f"/bucket/train/flat-{index}.tar", Path(path).read_bytes())
    yield "memory://bucket/train"
    files.rm("/bucket", recursive=True)


@pytest.mark.parametrize("spec", ["", "/", "/flat-*.tar", "/flat-{0..2}.tar"])
def test_shards_of_a_cloud_are_listed_and_read(remote: str, spec: str) -> None:
    shards = expand_shards(remote + spec)
    assert shards == [f"{remote}/flat-{index}.tar" for index in range(3)]
    assert photo_numbers(shards) == list(range(12))


def test_a_shard_that_has_vanished_from_a_cloud_is_counted_and_left_out(remote: str) -> None:
    shards = expand_shards(remote)
    fsspec.filesystem("memory").rm("/bucket/train/flat-1.tar")
    errors: list[Exception] = []
    read = read_photos(shards, lambda error: errors.append(error) or True)
    assert [int(pixels[0, 0, 0]) // 20 for pixels in read] == [0, 1, 2, 3, 8, 9, 10, 11]
    assert "flat-1.tar" in str(errors[0])
    assert len(errors) == 1


def test_a_folder_of_a_cloud_without_shards_is_named(remote: str) -> None:
    with pytest.raises(DataError, match="no shards found at 'memory://bucket/other'"):
        expand_shards("memory://bucket/other")


def test_a_cloud_whose_package_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(DataError, match=r"rnncodec\[remote\]"):
        expand_shards("s3://bucket/train")
