"""The command line: as a real process where that matters, else in this one, where it need not start."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import ExifTags, Image

import rnncodec
from rnncodec.cli import files, main
from rnncodec.cli.files import check_output, write_output
from rnncodec.coding.signals import SIGNALS
from rnncodec.errors import InputError, OutputError
from rnncodec.fileformat import bitstream
from rnncodec.pictures.pixels import srgb_profile
from tests.commands import Command
from tests.fileformat import version_1
from tests.waiting import wait_for


def run(*arguments: object, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return Command("-m", "rnncodec.cli", *arguments, environment=environment, content=content).wait(120, text=False)


def call(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    """Does the same in this process."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", ["rnncodec", *map(str, arguments)]),
        patch.dict(os.environ, COLUMNS="200"),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return subprocess.CompletedProcess(arguments, code, out.getvalue().encode(), err.getvalue().encode())


@pytest.fixture(scope="module")
def odd_images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One pixel; odd sides; grey; with alpha; a JPEG on its side."""
    folder = tmp_path_factory.mktemp("odd")
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (17, 33, 3), dtype=np.uint8))
    images = {"pixel": noise.crop((0, 0, 1, 1)), "odd": noise, "grey": noise.convert("L"), "alpha": noise.copy()}
    images["alpha"].putalpha(128)
    paths = {}
    for name, image in images.items():
        paths[name] = folder / f"{name}.png"
        image.save(paths[name])
    paths["rotated"] = folder / "rotated.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90°
    noise.save(paths["rotated"], exif=exif)
    return paths


def test_odd_images_round_trip(odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path) -> None:
    done = run("compress", *odd_images.values(), "-o", tmp_path, "--model", tiny_weights, "--iterations", 2)
    assert done.returncode == 0, done.stderr.decode()
    assert b"transparency" not in done.stderr
    files = [tmp_path / f"{name}.rnnc" for name in odd_images]
    done = run("decompress", *files, "-o", tmp_path / "back", "--model", tiny_weights)
    assert done.returncode == 0, done.stderr.decode()
    sizes = {name: Image.open(tmp_path / "back" / f"{name}.png").size for name in odd_images}
    assert sizes == {"pixel": (1, 1), "odd": (33, 17), "grey": (33, 17), "alpha": (33, 17), "rotated": (17, 33)}
    for name, path in odd_images.items():
        data = (tmp_path / f"{name}.rnnc").read_bytes()
        assert data == rnncodec.compress(path, model=tiny_weights, iterations=2)
        decoded = np.asarray(Image.open(tmp_path / "back" / f"{name}.png"))
        assert np.array_equal(decoded, np.asarray(rnncodec.decompress(data, model=tiny_weights)))
    assert Image.open(tmp_path / "back" / "alpha.png").mode == "RGBA"
    done = run("decompress", tmp_path / "alpha.rnnc", "-o", tmp_path / "alpha.jpg", "--model", tiny_weights)
    assert done.returncode == 0
    assert b"transparency is flattened onto white: JPEG files are written without" in done.stderr


def test_pipes(odd_images: dict[str, Path], tiny_weights: Path) -> None:
    compressed = run("compress", "-", "--model", tiny_weights, content=odd_images["odd"].read_bytes())
    assert compressed.returncode == 0, compressed.stderr.decode()
    whole = run("decompress", "-", "--model", tiny_weights, content=compressed.stdout)
    assert Image.open(io.BytesIO(whole.stdout)).size == (33, 17)
    cut = run("decompress", "-", "--model", tiny_weights, content=compressed.stdout[:-1])
    assert cut.returncode == 0
    assert b"cut inside layer 3 of 3" in cut.stderr
    assert Image.open(io.BytesIO(cut.stdout)).size == (33, 17)


def test_info_shows_the_same_values_as_text_and_as_json(
    odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path
) -> None:
    file = tmp_path / "x.rnnc"
    assert call("compress", odd_images["odd"], "-o", file, "--model", tiny_weights).returncode == 0
    described = json.loads(call("info", "--json", file).stdout)
    assert (described["width"], described["height"]) == (33, 17)
    assert (described["layers_written"], described["damage"]) == (3, None)
    assert described["layers"][-1]["ends_at"] == file.stat().st_size
    assert described["layers"][-1]["bpp"] == 8 * file.stat().st_size / (33 * 17)
    shown = call("info", file).stdout.decode()
    assert "33×17 pixels, 3 of 3 layers" in shown
    assert described["model"] in shown


def test_info_shows_the_cost_of_a_network(tiny_weights: Path) -> None:
    shown = call("info", "--model", tiny_weights).stdout.decode()
    described = json.loads(call("info", "--json", "--model", tiny_weights).stdout)
    assert f"decoder {described['decoder']:.1f} kMAC a pixel and iteration" in shown
    assert described["parameters"] > 1000
    nothing = call("info")
    assert nothing.returncode == 2
    assert b"name a file, or a network with --model" in nothing.stderr


def test_targets_and_truncation_and_the_savings_in_info(
    photos_dir: Path, context_weights: Path, tmp_path: Path
) -> None:
    photo, whole, small, cut = photos_dir / "photo-0.png", *(tmp_path / f"{name}.rnnc" for name in "abc")
    assert call("compress", photo, "-o", whole, "--model", context_weights).returncode == 0
    described = json.loads(call("info", "--json", whole).stdout)
    assert described["coder"] == 1
    assert all(layer["saved"] > 0 for layer in described["layers"])
    assert "context model" in call("info", whole).stdout.decode()
    limit = described["layers"][1]["ends_at"] + 3
    assert call("compress", photo, "-o", small, "--model", context_weights, "--max-bytes", limit).returncode == 0
    assert call("truncate", whole, "-o", cut, "--max-bytes", limit).returncode == 0
    assert small.read_bytes() == cut.read_bytes() == whole.read_bytes()[:10] + cut.read_bytes()[10:]
    file = bitstream.read(cut.read_bytes())
    older, fits = tmp_path / "older.rnnc", tmp_path / "fits.rnnc"
    older.write_bytes(version_1.write(file.header, file.layers, []))
    size = older.stat().st_size
    assert call("truncate", older, "-o", fits, "--max-bytes", size).returncode == 0
    assert fits.read_bytes() == older.read_bytes()  # though a file of this version would be longer
    icon = call("decompress", cut, "-o", tmp_path / "c.ico", "--model", context_weights)
    assert (icon.returncode, b"files of icons hold pictures of other sizes" in icon.stderr) == (7, True)
    shown = call("decompress", cut, "-o", tmp_path / "c.png", "--model", context_weights)
    assert (shown.returncode, b"warning" in shown.stderr) == (0, False)
    missed = call("compress", photo, "-o", tmp_path / "d.rnnc", "--model", context_weights, "--psnr", 99)
    assert missed.returncode == 2
    assert b"with 3 layers the picture reaches" in missed.stderr


def test_metadata_go_into_files_and_out_of_them_unless_they_are_stripped(
    odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path
) -> None:
    photo, kept, stripped, cut = tmp_path / "photo.jpg", *(tmp_path / f"{name}.rnnc" for name in "abc")
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Orientation] = "Ada", 6
    Image.open(odd_images["odd"]).save(photo, exif=exif, xmp=b"<xmp>", icc_profile=srgb_profile())
    assert call("compress", photo, "-o", kept, "--model", tiny_weights).returncode == 0
    assert call("compress", photo, "-o", stripped, "--model", tiny_weights, "--strip").returncode == 0
    assert call("truncate", kept, "-o", cut, "--max-bytes", 9999, "--strip").returncode == 0
    assert kept.read_bytes().startswith(stripped.read_bytes())
    assert cut.read_bytes() == stripped.read_bytes()
    described = json.loads(call("info", "--json", kept).stdout)["metadata"]
    assert (described["xmp"], described["srgb"]) == (5, True)
    assert described["bytes"] == len(kept.read_bytes()) - len(stripped.read_bytes())
    shown = call("info", kept, stripped).stdout.decode()
    assert f"metadata: EXIF of {described['exif']} bytes, XMP of 5 bytes, tagged as sRGB" in shown
    assert "metadata: none" in shown
    assert call("decompress", kept, "-o", tmp_path / "a.jpg", "--model", tiny_weights).returncode == 0
    image = Image.open(tmp_path / "a.jpg")
    assert (image.size, image.info["xmp"], image.info["icc_profile"]) == ((17, 33), b"<xmp>", srgb_profile())
    assert dict(image.getexif()) == {ExifTags.Base.Artist: "Ada", ExifTags.Base.Orientation: 1}


def test_existing_outputs_are_kept_without_overwrite(
    odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path
) -> None:
    target = tmp_path / "x.rnnc"
    target.write_bytes(b"precious")
    refused = call("compress", odd_images["odd"], "-o", target, "--model", tiny_weights)
    assert refused.returncode == 7
    assert b"--overwrite" in refused.stderr
    assert target.read_bytes() == b"precious"
    assert call("compress", odd_images["odd"], "-o", target, "--model", tiny_weights, "--overwrite").returncode == 0
    assert target.read_bytes().startswith(b"RNNC")


def test_one_bad_input_does_not_keep_the_others(
    odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(odd_images["odd"].read_bytes()[:80])
    done = call("compress", broken, odd_images["odd"], "-o", tmp_path / "out", "--model", tiny_weights)
    assert done.returncode == 3
    assert str(broken).encode() in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["odd.rnnc"]


def test_a_folder_is_converted_by_several_processes_and_a_second_run_goes_on(
    odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    (tmp_path / "in" / "deeper" / "odd.png").write_bytes(odd_images["odd"].read_bytes())
    (tmp_path / "in" / "grey.png").write_bytes(odd_images["grey"].read_bytes())
    (tmp_path / "in" / "broken.png").write_bytes(odd_images["odd"].read_bytes()[:80])
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    arguments = ["compress", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_weights, "--iterations", 1]
    done = run(*arguments, "--jobs", 2)
    assert done.returncode == 3
    assert b"2 files written, 1 failed" in done.stderr
    assert b"broken.png" in done.stderr
    assert b"1 .txt file, such as" in done.stderr
    written = [tmp_path / "out" / "deeper" / "odd.png.rnnc", tmp_path / "out" / "grey.png.rnnc"]
    assert sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()) == written
    assert written[0].read_bytes() == rnncodec.compress(odd_images["odd"], model=tiny_weights, iterations=1)
    written[1].unlink()
    again = run(*arguments)
    assert b"1 files written, 1 failed, 1 were finished before" in again.stderr
    assert written[1].exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_ends_in_one_line(odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.rnnc"
    file.write_bytes(rnncodec.compress(odd_images["odd"], model=tiny_weights, iterations=1))
    command = [sys.executable, "-m", "rnncodec.cli", "truncate", str(file), "--max-bytes", "999", "-o", "-"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 7
    (line,) = done.stderr.splitlines()
    assert "standard output cannot be written: No space left on device" in line


def test_output_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(path: Path, content: bytes) -> None:
        path.open("wb").write(content[:2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OutputError, match="No space left on device"):
        write_output(str(tmp_path / "x.rnnc"), b"content")
    assert list(tmp_path.iterdir()) == []


def test_an_input_without_end_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 200_000)
    with pytest.raises(InputError, match="more than"):
        files.read_input("/dev/zero")
    (tmp_path / "long").write_bytes(bytes(200_001))
    with pytest.raises(InputError, match="more than"):
        files.read_input(str(tmp_path / "long"))
    (tmp_path / "long").write_bytes(bytes(200_000))
    assert len(files.read_input(str(tmp_path / "long"))) == 200_000


def test_escape_sequences_in_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    name = "\x1b]0;title\x07\x1b[2J.rnnc"
    (tmp_path / name).write_bytes(b"none of ours")
    for command in ("decompress", "info"):
        done = call(command, tmp_path / name, tmp_path / f"absent{name}")
        assert done.returncode != 0
        assert b"not an rnncodec file" in done.stderr
        assert not set(done.stderr + done.stdout) & set(b"\x1b\x07")


def test_folder_in_which_nothing_can_be_written_is_found_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="is no folder"):
        check_output(str(tmp_path / "file" / "x.rnnc"), overwrite=False)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(OutputError, match="is read-only"):
        check_output(str(tmp_path / "new" / "x.rnnc"), overwrite=False)


def test_region_is_a_part_of_the_picture(odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path) -> None:
    file, part = tmp_path / "x.rnnc", tmp_path / "part.png"
    file.write_bytes(rnncodec.compress(odd_images["odd"], model=tiny_weights, iterations=1))
    options = ["decompress", file, "-o", part, "--model", tiny_weights, "--region"]
    assert call(*options, "30,2,3,15").returncode == 0
    whole = rnncodec.decompress(file.read_bytes(), model=tiny_weights)
    assert np.array_equal(np.asarray(Image.open(part)), np.asarray(whole.crop((30, 2, 33, 17))))
    for wrong, message in (("1,2,3", "four whole numbers"), ("30,2,4,15", "beyond the picture")):
        refused = call(*options, wrong, "--overwrite")
        assert (refused.returncode, message in refused.stderr.decode()) == (2, True)


def test_a_smaller_picture_is_made_of_fewer_layers(
    odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path
) -> None:
    file = tmp_path / "x.rnnc"
    file.write_bytes(rnncodec.compress(odd_images["odd"], model=tiny_weights, iterations=9))
    options = ["decompress", file, "--model", tiny_weights, "-o"]
    done = call(*options, tmp_path / "small.png", "--max-side", 3)
    assert b"3 of 9 layers" in done.stderr, done.stderr
    assert Image.open(tmp_path / "small.png").size == (3, 2)
    assert b"2 of 9 layers" in call(*options, tmp_path / "two.png", "--layers", 2).stderr
    assert Image.open(tmp_path / "two.png").size == (33, 17)
    assert b"layers must be at least 1" in call(*options, tmp_path / "none.png", "--layers", 0).stderr


@pytest.mark.parametrize("as_json", [True, False])
def test_a_reader_that_goes_away_ends_info_silently(
    odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path, as_json: bool
) -> None:
    file = tmp_path / "x.rnnc"
    file.write_bytes(rnncodec.compress(odd_images["odd"], model=tiny_weights, iterations=1))
    command = [sys.executable, "-m", "rnncodec.cli", "info", *["--json"] * as_json, *[str(file)] * 500]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode not in (0, 120)  # 120: Python failed when it ended


@pytest.mark.parametrize("command", ["decompress FILE -o -", "info FILE", "compress - -o OUT"])
def test_closed_streams_end_in_one_line(
    odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path, command: str
) -> None:
    file = tmp_path / "x.rnnc"
    file.write_bytes(rnncodec.compress(odd_images["odd"], model=tiny_weights, iterations=1))
    arguments = command.replace("FILE", str(file)).replace("OUT", str(tmp_path / "out.rnnc"))
    closed = "<&-" if command.startswith("compress") else ">&-"
    shell = f"{sys.executable} -m rnncodec.cli {arguments} {closed}"
    done = subprocess.run(["bash", "-c", shell], stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode in (3, 7)
    (line,) = done.stderr.splitlines()
    assert "is closed" in line


def test_every_failure_has_its_exit_code_and_message(
    odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path
) -> None:
    good = tmp_path / "good.rnnc"
    assert call("compress", odd_images["odd"], "-o", good, "--model", tiny_weights).returncode == 0
    newer = tmp_path / "newer.rnnc"
    newer.write_bytes(good.read_bytes()[:4] + b"\x09" + good.read_bytes()[5:])
    beheaded = tmp_path / "beheaded.rnnc"
    beheaded.write_bytes(good.read_bytes()[:10])
    target = ["-o", tmp_path / "z.rnnc"]
    cases = [
        (["decompress", good], 6, "none of the released ones"),
        (["decompress", odd_images["odd"], "-o", tmp_path / "y.png"], 5, "not an rnncodec file"),
        (["decompress", newer], 5, "version 9"),
        (["decompress", beheaded], 5, "cut inside its header"),
        (["decompress", good, "-o", tmp_path / "y.docx", "--model", tiny_weights], 7, ".docx"),
        (["compress", tmp_path / "missing.png", "--model", tiny_weights], 3, "No such file"),
        (["compress", odd_images["odd"], *target, "--model", "huge"], 4, "released model"),
        (["compress", odd_images["odd"], *target, "--model", tiny_weights, "--iterations", 0], 2, "from 1"),
    ]  # fmt: skip
    for arguments, exit_code, message in cases:
        done = call(*arguments)
        assert (done.returncode, message in done.stderr.decode()) == (exit_code, True), (arguments, done.stderr)
        assert b"Traceback" not in done.stderr
    ours = run("compress", good, *target, "--model", tiny_weights)  # an image where rnncodec.pillow is imported
    assert (ours.returncode, b"not an image" in ours.stderr) == (3, True), ours.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beheaded.rnnc", "good.rnnc", "newer.rnnc"]


@pytest.mark.parametrize(("number", "jobs"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGTERM, 2)])
def test_a_command_interrupted_while_it_writes_leaves_no_file_and_no_process(
    odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path, number: signal.Signals, jobs: int
) -> None:
    slow_disk = tmp_path / "slow_disk.py"  # processes that the command starts import it too
    slow_disk.write_text("""
import pathlib, time, rnncodec.cli
whole = pathlib.Path.write_bytes
def half(path, content):
    whole(path, content[: len(content) // 2])
    time.sleep(600)
pathlib.Path.write_bytes = half
if __name__ == "__main__":
    rnncodec.cli.main()
""")
    images = [odd_images["odd"], odd_images["grey"]][:jobs]
    arguments = ["compress", *images, "-o", f"{tmp_path}/out/", "--model", tiny_weights, "--jobs", jobs]
    command = Command(slow_disk, *arguments, environment=os.environ)
    wait_for(lambda: sum(path.stat().st_size > 0 for path in (tmp_path / "out").glob("*")) == jobs, 60)
    os.kill(command.pid, number)
    done = command.wait(60)
    wait_for(lambda: not has_members(command.pid), 60)
    assert done.returncode == 128 + number
    assert done.stderr.splitlines()[-1] == f"interrupted by {number.name}; finished files are kept"
    assert list((tmp_path / "out").iterdir()) == []


def has_members(group: int) -> bool:
    """Whether there is a process of this group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_help_gives_examples() -> None:
    assert run("--help").returncode == 0
    for command in ("compress", "decompress", "truncate", "info", "shards"):
        done = call(command, "--help")
        assert done.returncode == 0
        assert f"rnncodec {command}" in done.stdout.decode()


def test_shards_command(photos_dir: Path, tmp_path: Path) -> None:
    done = call("shards", photos_dir, "--out", tmp_path / "shards", "--shard-size", 4)
    assert done.returncode == 0, done.stderr.decode()
    assert b"6 images in 2 shards" in done.stderr
    again = call("shards", photos_dir, "--out", tmp_path / "shards")
    assert again.returncode == 2
    assert b"holds shards already" in again.stderr


def test_commands_load_torch_only_for_a_network_and_never_its_compiler(
    odd_images: dict[str, Path], tiny_weights: Path, tmp_path: Path
) -> None:
    places = {"FILE": tmp_path / "odd.rnnc", "OUT": tmp_path / "out.rnnc"}
    places["FILE"].write_bytes(rnncodec.compress(odd_images["odd"], model=tiny_weights, iterations=1))
    wanted = {
        "--help": 0,
        "compress --help": 0,
        "info FILE": 0,
        "truncate FILE --max-bytes 999 -o OUT": 0,
        "compress missing.jpg": 3,
        "decompress missing.rnnc": 3,
        "decompress FILE -o FILE": 7,
        "compress FILE --bpp 1 --psnr 30": 2,
    }
    program = """
import json, sys, rnncodec.cli
found, (_, commands, photo) = {}, sys.argv
for command, arguments in json.loads(commands).items():
    sys.argv[1:], code = arguments, 0
    try:
        rnncodec.cli.main()
    except SystemExit as end:
        code = end.code
    found[command] = "loads torch" if "torch" in sys.modules else code
rnncodec.decompress(rnncodec.compress(photo, iterations=1))
found["torch._dynamo"] = "torch._dynamo" in sys.modules
print(json.dumps(found))
"""
    arguments = {command: [str(places.get(word, word)) for word in command.split()] for command in wanted}
    start = [sys.executable, "-c", program, json.dumps(arguments), str(odd_images["odd"])]
    done = subprocess.run(start, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout.splitlines()[-1]) == wanted | {"torch._dynamo": False}, done.stderr


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_truncate_reads_no_more_of_a_pipe_than_the_file(tmp_path: Path) -> None:
    header = bitstream.Header(b"anon", bitstream.RAW, 32, 16, 32, 3)
    content = bitstream.write(header, [bytes(header.raw_size)] * 3)
    (tmp_path / "a.rnnc").write_bytes(content)
    endless = subprocess.Popen(["cat", tmp_path / "a.rnnc", "/dev/zero"], stdout=subprocess.PIPE)
    command = [sys.executable, "-m", "rnncodec.cli", "truncate", "-", "--max-bytes", "50", "-o", "-"]
    try:
        done = subprocess.run(command, stdin=endless.stdout, capture_output=True, timeout=60)
    finally:
        endless.kill()
        endless.communicate()
    assert done.returncode == 0, done.stderr
    assert done.stdout == bitstream.truncate(bitstream.read(content), 50)


def test_truncate_tells_damage(tmp_path: Path) -> None:
    header = bitstream.Header(b"anon", bitstream.RAW, 32, 16, 32, 3)
    content = bytearray(bitstream.write(header, [bytes(header.raw_size)] * 3))
    content[-1] ^= 1
    (tmp_path / "a.rnnc").write_bytes(content)
    done = call("truncate", tmp_path / "a.rnnc", "--max-bytes", "999", "-o", tmp_path / "b.rnnc")
    assert done.returncode == 0
    assert b"warning" in done.stderr
    assert b"layer 3 of 3" in done.stderr
    assert bitstream.read((tmp_path / "b.rnnc").read_bytes()).header.layers == 2


def test_a_reader_that_has_seen_enough_ends_the_command_without_a_word(tmp_path: Path) -> None:
    header = bitstream.Header(b"anon", bitstream.RAW, 2048, 2048, 32, 8)
    (tmp_path / "a.rnnc").write_bytes(bitstream.write(header, [bytes(header.raw_size)] * 8))
    truncate = f"{sys.executable} -m rnncodec.cli truncate a.rnnc --max-bytes 9999999 -o -"
    command = f"{truncate} | head -c 3; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, timeout=60)
    assert done.stdout == b"RNN1\n"
    assert done.stderr == b""


def test_the_version_is_that_of_the_package() -> None:
    assert call("--version").stdout.decode().strip() == rnncodec.__version__ == version("rnncodec")
