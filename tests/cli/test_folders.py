"""What commands do with folders and with outputs that are no regular files. The files are converted by a function that
needs no network."""

import os
import stat
import threading
from pathlib import Path

import pytest
import typer
from PIL import Image

from rnncodec.cli.codec import SOFTWARE, begins_as_ours, is_ours, is_written_by_us
from rnncodec.cli.convert import Convert, Converted, Step, convert_all
from rnncodec.cli.files import check_input, check_output, read_input, write_output
from rnncodec.cli.plan import Kind
from rnncodec.errors import ImageError, ModelError, OutputError
from rnncodec.fileformat.metadata import Metadata
from rnncodec.pictures import plugins
from rnncodec.pictures.folders import files_below
from rnncodec.pictures.pillow_metadata import encode
from rnncodec.pictures.pixels import is_image_name


def marked(source: str, target: str, step: Step) -> Converted:
    """The content behind the beginning of our files."""
    content = read_input(source)
    step(1)(1)
    match content:
        case b"broken":
            raise ImageError("cannot be read")
        case b"odd":
            raise TypeError("of two\nlines")
        case b"fatal":
            os._exit(9)
    skipped = content == b"dense"
    return Converted(None if skipped else b"RNNC" + content, "done", larger=content in (b"dense", b"large"))


def load() -> Convert:
    return marked


def load_nothing() -> Convert:
    raise ModelError("no such weights")


class Folder:
    """A folder of files, and the command on it."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self.out, self._capsys = path / "in", path / "out", capsys
        self.path.mkdir()
        self.kind = Kind(".rnnc", is_image_name, begins_as_ours)

    def add(self, name: str, content: str = "", time: float = 1e9) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or name)
        os.utime(path, (time, time))
        return path

    def run(self, *files: Path, overwrite: bool = False, keep_time: bool = True, jobs: int = 1) -> tuple[int, str]:
        """The exit code, and what was printed."""
        try:
            sources = [str(path) for path in files or (self.path,)]
            convert_all(sources, str(self.out), self.kind, overwrite, load, keep_time, jobs)
            code = 0
        except typer.Exit as done:
            code = done.exit_code
        return code, self._capsys.readouterr().err

    @property
    def written(self) -> dict[str, str]:
        paths = (path for path in self.out.rglob("*") if path.is_file())
        return {str(path.relative_to(self.out)): path.read_text().removeprefix("RNNC") for path in paths}


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Folder:
    return Folder(tmp_path, capsys)


def test_files_that_differ_in_their_ending_have_two_outputs_whenever_they_come(folder: Folder) -> None:
    folder.add("a.jpg")
    assert folder.run() == (0, "1 files written, 0 failed\n") or folder.written
    folder.add("a.png")
    code, told = folder.run()
    assert code == 0
    assert "1 files written, 0 failed, 1 were finished before" in told
    assert folder.written == {"a.jpg.rnnc": "a.jpg", "a.png.rnnc": "a.png"}
    (folder.path / "a.jpg").unlink()
    folder.add("a.webp", time=2e9)
    folder.run()
    assert set(folder.written) == {"a.jpg.rnnc", "a.png.rnnc", "a.webp.rnnc"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_file_is_tried_and_each_fault_is_one_line(folder: Folder, jobs: int) -> None:
    for name, content in (("1.png", "odd"), ("2.png", "broken"), ("3.png", ""), ("4.png", "large"), ("5.png", "dense")):
        folder.add(name, content)
    code, told = folder.run(jobs=jobs)
    lines = told.splitlines()
    assert len([line for line in lines if line.startswith("error ")]) == 2
    assert f"error {folder.path / '1.png'}: an unexpected TypeError: of two lines" in lines
    assert f"error {folder.path / '2.png'}: cannot be read" in lines
    assert lines[-1] == (
        "2 files written, 2 failed, 1 skipped, they would be larger than their inputs, "
        "1 larger than their inputs (see --skip-larger)"
    )
    assert code == 1  # of the first failure
    assert set(folder.written) == {"3.png.rnnc", "4.png.rnnc"}
    folder.add("1.png", "mended", time=2e9)
    assert "1 files written, 1 failed" in folder.run(jobs=jobs)[1]


def test_a_process_that_ends_costs_only_its_file(folder: Folder) -> None:
    for name in "abcdef":
        folder.add(f"{name}.png", "fatal" if name == "c" else "")
    code, told = folder.run(jobs=2)
    assert code == 7
    assert f"error {folder.path / 'c.png'}: not written: its process ended" in told
    assert set(folder.written) == {f"{name}.png.rnnc" for name in "abdef"}


def test_weights_that_are_missing_are_told_once_also_by_several_processes(folder: Folder) -> None:
    folder.add("a.png")
    folder.add("b.png")
    with pytest.raises(ModelError, match="no such weights"):
        convert_all([str(folder.path)], str(folder.out), folder.kind, False, load_nothing, True, jobs=2)


def test_a_changed_file_is_converted_again_but_nothing_else_is_replaced(folder: Folder) -> None:
    source = folder.add("a.png", "old", time=1e9)
    folder.add("b.png", time=1e9)
    folder.run()
    folder.add("a.png", "new", time=1e9 + 1)
    code, told = folder.run()
    assert (code, folder.written["a.png.rnnc"]) == (0, "new")
    assert "1 files written, 0 failed, 1 were finished before" in told
    foreign = folder.out / "a.png.rnnc"
    foreign.write_text("of somebody else")
    os.utime(foreign, (1e8, 1e8))
    code, told = folder.run()
    assert (code, folder.written["a.png.rnnc"]) == (7, "of somebody else")
    assert f"error {source}: {foreign} exists already, and is no output of this file" in told
    assert folder.run(overwrite=True)[0] == 0
    assert folder.written["a.png.rnnc"] == "new"


@pytest.mark.parametrize("keep_time", [True, False])
def test_modification_times_are_kept_if_they_shall_be(folder: Folder, keep_time: bool) -> None:
    source = folder.add("a.png", time=1_234_567_890.123)
    folder.run(keep_time=keep_time)
    kept = (folder.out / "a.png.rnnc").stat().st_mtime_ns == source.stat().st_mtime_ns
    assert kept is keep_time
    assert "1 were finished before" in folder.run(keep_time=keep_time)[1]


def test_several_folders_have_places_of_their_own(folder: Folder, tmp_path: Path) -> None:
    folder.add("a.png", "first")
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.png").write_text("second")
    assert folder.run(folder.path, other)[0] == 0
    assert folder.written == {"in/a.png.rnnc": "first", "other/a.png.rnnc": "second"}


def test_named_files_that_differ_in_their_ending_have_two_outputs(folder: Folder) -> None:
    files = [folder.add(name) for name in ("a.jpg", "a.png", "b.png")]
    assert folder.run(*files)[0] == 0
    assert folder.written == {"a.jpg.rnnc": "a.jpg", "a.png.rnnc": "a.png", "b.rnnc": "b.png"}


def test_named_files_of_one_name_are_told_before_anything_is_written(folder: Folder) -> None:
    files = [folder.add(name) for name in ("x/a.png", "y/a.png", "c.png")]
    code, told = folder.run(*files)
    assert code == 7
    assert f"error {files[1]}: {folder.out / 'a.png.rnnc'} is already the output of {files[0]}" in told
    assert folder.written == {"a.png.rnnc": "x/a.png", "c.rnnc": "c.png"}


def test_what_is_left_out_is_counted_and_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "find_spec", lambda name: None)
    for name in ("a.png", "b.heic", "c.HEIC", "notes.txt", "d.rnnc", ".hidden"):
        folder.add(name)
    folder.kind = Kind(".rnnc", lambda path: path.suffix == ".png", begins_as_ours)  # as without the plugin
    code, told = folder.run()
    assert code == 0
    assert f"left out 2 .heic files, such as {folder.path / 'b.heic'}; to read .heic files: pip install" in told
    assert f"left out 1 .txt file, such as {folder.path / 'notes.txt'}" in told
    assert "1 files written, 0 failed, 3 of other kinds left out" in told


@pytest.mark.parametrize(
    ("start", "extra"),
    [(b"\0\0\0\x18ftypheic", "heif"), (b"\xff\x0a", "jxl"), (b"\0\0\0\x18ftypavif", None), (b"RIFF", None)],
)
def test_a_file_that_a_plugin_reads_is_known(start: bytes, extra: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "find_spec", lambda name: None)
    expected = f"pip install 'rnncodec[{extra}]'" if extra else None
    assert plugins.plugin_for_content(start.ljust(12, b"\0")) == expected
    monkeypatch.setattr(plugins, "find_spec", lambda name: name)
    assert plugins.plugin_for_content(start.ljust(12, b"\0")) is None


def test_links_to_folders_are_followed_once_each(tmp_path: Path) -> None:
    real, inside = tmp_path / "real", tmp_path / "set" / "inside"
    real.mkdir()
    inside.mkdir(parents=True)
    (real / "a.png").touch()
    (inside / "b.png").touch()
    links = {"link": real, "again": real, "here": inside, "up": tmp_path / "set", "gone": tmp_path / "no"}
    for name, target in links.items():
        (tmp_path / "set" / name).symlink_to(target)
    found = [str(path.relative_to(tmp_path / "set")) for path in files_below(tmp_path / "set", pytest.fail)]
    assert found in (["again/a.png", "gone", "inside/b.png"], ["gone", "inside/b.png", "link/a.png"])


def test_what_cannot_be_read_is_told_and_the_rest_is_converted(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.add("locked/a.png")
    folder.add("b.png")
    (folder.path / "c.png").symlink_to(folder.path / "nowhere")
    secret = folder.add("d.png")
    whole, access = Path.iterdir, os.access

    def iterdir(path: Path):  # type: ignore[no-untyped-def]
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return whole(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)  # root may read anything
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(secret) and access(path, mode))
    code, told = folder.run()
    assert code == 3
    assert f"error {folder.path / 'locked'}: this folder cannot be read: Permission denied" in told
    assert f"error {folder.path / 'c.png'}: No such file or directory" in told
    assert f"error {secret}: it may not be read: permission denied" in told
    assert "1 files written, 3 failed" in told
    assert set(folder.written) == {"b.png.rnnc"}


@pytest.mark.parametrize("length", [249, 251, 255])
def test_names_of_any_length_have_outputs(folder: Folder, length: int) -> None:
    sources = [folder.add("x" * (length - 5) + f"{number}.png") for number in range(2)]
    assert folder.run()[0] == 0
    assert sorted(folder.written.values()) == [path.name for path in sources]
    assert folder.run(*sources)[0] in (0, 7)


def test_a_picture_that_decompress_wrote_is_known(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours.png", tmp_path / "other.png"
    image = Image.new("RGB", (2, 2))
    ours.write_bytes(encode(image, "PNG", Metadata(xmp=b"<xmp>"), SOFTWARE)[0])
    image.save(other)
    assert is_written_by_us(ours)
    assert not is_written_by_us(other)
    other.write_text("no picture")
    assert not is_written_by_us(other)


def test_a_folder_is_not_truncated_onto_itself(folder: Folder) -> None:
    path = folder.add("a.rnnc", "RNNC")
    with pytest.raises(typer.Exit):
        convert_all([str(folder.path)], None, Kind(".rnnc", is_ours, begins_as_ours), False, load, True)
    assert path.read_text() == "RNNC"


# Outputs and inputs that are no regular files


def test_a_named_pipe_is_an_input(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(bytes(300_000)))
    writer.start()
    check_input(str(pipe))
    assert read_input(str(pipe)) == bytes(300_000)
    writer.join()


def test_a_named_pipe_is_an_output_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    check_output(str(pipe), overwrite=False)
    write_output(str(pipe), b"content", time=1)
    reader.join()
    assert read == [b"content"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_an_output_without_overwrite_and_stays_one() -> None:
    check_output("/dev/null", overwrite=False)
    write_output("/dev/null", b"content", time=1)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_link_is_kept_and_its_file_is_checked(tmp_path: Path) -> None:
    target, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(target)
    check_output(str(link), overwrite=False)
    write_output(str(link), b"content")
    assert link.is_symlink()
    assert target.read_bytes() == b"content"
    with pytest.raises(OutputError, match="exists already"):
        check_output(str(link), overwrite=False)
    with pytest.raises(OutputError, match="it is a folder"):
        check_output(str(tmp_path), overwrite=True)


# Two inputs and one output


def test_folders_of_one_name_never_replace_the_outputs_of_each_other(folder: Folder) -> None:
    first, second = folder.add("x/DCIM/a.jpg"), folder.add("y/DCIM/a.jpg", time=1.1e9)
    for _ in range(3):
        code, told = folder.run(first.parent, second.parent)
        assert code == OutputError.exit_code
        assert "is already the output of" in told
        assert folder.written == {"DCIM/a.jpg.rnnc": "x/DCIM/a.jpg"}


def test_an_input_that_is_named_twice_is_told(folder: Folder) -> None:
    inner = folder.add("deeper/a.jpg")
    folder.add("b.jpg")
    for _ in range(2):
        code, told = folder.run(folder.path, inner.parent)
        assert code == OutputError.exit_code
        assert f"{inner} is already converted to" in told
        assert set(folder.written) == {"in/b.jpg.rnnc", "in/deeper/a.jpg.rnnc"}


def test_outputs_in_a_folder_of_the_inputs_are_no_inputs(folder: Folder) -> None:
    folder.kind = Kind(".rnnc", is_ours, begins_as_ours)
    folder.add("a.rnnc", "RNNC")
    folder.out = folder.path / "small"
    for _ in range(3):
        assert folder.run()[0] == 0
        assert set(folder.written) == {"a.rnnc"}


def test_two_spellings_of_a_folder_are_one(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.add("a.jpg")
    monkeypatch.chdir(folder.path)
    convert_all(["a.jpg", str(folder.add("a.png"))], None, folder.kind, False, load, True)
    assert {path.name for path in folder.path.iterdir()} == {"a.jpg", "a.png", "a.jpg.rnnc", "a.png.rnnc"}


@pytest.mark.parametrize("several", [False, True])
def test_standard_output_takes_one_file(folder: Folder, several: bool) -> None:
    files = [str(folder.add(name)) for name in ("a.jpg", "b.jpg")] if several else [str(folder.path)]
    folder.add("c.jpg")
    before = set(folder.path.iterdir())
    with pytest.raises(OutputError, match="standard output takes one file"):
        convert_all(files, "-", folder.kind, False, load, True)
    assert set(folder.path.iterdir()) == before


def test_an_empty_name_is_told_and_the_others_are_converted(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder.add("a.jpg")
    with pytest.raises(typer.Exit):
        convert_all(["", str(file)], None, folder.kind, False, load, True)
    assert "No such file" in capsys.readouterr().err
    assert file.with_name("a.rnnc").exists()


def test_names_are_printed_without_emojis(folder: Folder) -> None:
    folder.add(":car:.jpg")
    assert ":car:.jpg →" in folder.run()[1]


def test_a_pipe_of_the_shell_is_read_also_with_several_processes(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"content")
    os.close(writer)
    kind = Kind(".rnnc", is_image_name, begins_as_ours)
    convert_all([f"/dev/fd/{reader}"], str(tmp_path / "a.rnnc"), kind, False, load, False, jobs=2)
    os.close(reader)
    assert (tmp_path / "a.rnnc").read_bytes() == b"RNNCcontent"
