import hashlib
import io
import json
import lzma
import os
import signal
import tarfile
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from rnncodec.data import shards
from rnncodec.data.identity import dataset_identity
from rnncodec.data.image_sources import ImageSource, collect_images
from rnncodec.data.photos import read_photos
from rnncodec.data.shards import Manifest, write_shards
from rnncodec.errors import DataError, RnncodecError
from rnncodec.pictures.pixels import Pixels


def stop(error: Exception) -> bool:
    raise error


def photos_in(folder: Path) -> list[Pixels]:
    return list(read_photos(sorted(map(str, folder.glob("*.tar"))), stop))


def stored_files(folder: Path) -> dict[str, bytes]:
    """Name and content of every file in the shards of ``folder``."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


def picture(seed: int, height: int = 40, width: int = 48) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: Pixels, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder with three pictures, one of them in a folder below, and a text."""
    folder = tmp_path / "three"
    for seed, name in enumerate(["a.png", "b.png", "deep/er/c.png"]):
        save(folder / name, picture(seed))
    (folder / "notes.txt").write_text("no image")
    (folder / "document.pdf").write_text("no image either")
    return folder


# Sources


def test_a_folder_is_searched_to_the_bottom(three: Path, tmp_path: Path) -> None:
    manifest = write_shards([str(three)], tmp_path / "out")
    assert manifest.photos == 3
    assert manifest.broken == {}
    assert all(map(np.array_equal, photos_in(tmp_path / "out"), [picture(seed) for seed in range(3)]))


def test_links_to_folders_are_followed_once_and_what_is_left_out_is_told(three: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link").symlink_to(three)
    (three / "back").symlink_to(tmp_path / "set")
    told: list[str] = []
    found = collect_images([str(tmp_path / "set")], told.append)
    names = [Path(image.name).relative_to(tmp_path / "set" / "link") for image in found]
    assert names == [Path("a.png"), Path("b.png"), Path("deep/er/c.png")]
    assert [line.split(",")[0] for line in told] == ["1 .pdf file", "1 .txt file"]


def test_a_glob_finds_the_matching_files(three: Path, tmp_path: Path) -> None:
    write_shards([str(three / "[b-z].png"), str(three / "**" / "c.*")], tmp_path / "out")
    assert all(map(np.array_equal, photos_in(tmp_path / "out"), [picture(1), picture(2)]))


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_a_tar_is_read_without_unpacking_it(three: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"photos.{ending}"
    with tarfile.open(path, "w:gz" if ending == "tar.gz" else "w") as tar:
        tar.add(three, "inside")
    assert write_shards([str(path)], tmp_path / "out").photos == 3
    assert all(map(np.array_equal, photos_in(tmp_path / "out"), [picture(seed) for seed in range(3)]))


def test_shards_can_be_sources_themselves(three: Path, tmp_path: Path) -> None:
    write_shards([str(three)], tmp_path / "first")
    write_shards([str(tmp_path / "first" / "*.tar")], tmp_path / "second", shard_size=1)
    assert list(stored_files(tmp_path / "first").values()) == list(stored_files(tmp_path / "second").values())


def test_sources_of_all_kinds_can_be_mixed(three: Path, tmp_path: Path) -> None:
    single = save(tmp_path / "single.png", picture(7))
    assert write_shards([str(single), str(three), str(three / "a*.png")], tmp_path / "out").photos == 5


def test_photos_of_one_name_from_several_folders_stay_apart(tmp_path: Path) -> None:
    for seed in range(3):
        save(tmp_path / f"in/{seed}/holiday.2024.at the sea.png", picture(seed))
    write_shards([str(tmp_path / "in")], tmp_path / "out")
    assert all(map(np.array_equal, photos_in(tmp_path / "out"), [picture(seed) for seed in range(3)]))


@pytest.mark.parametrize("source", ["nowhere", "nowhere/*.png"])
def test_a_source_that_does_not_exist_is_named(tmp_path: Path, source: str) -> None:
    with pytest.raises(DataError, match="nowhere"):
        write_shards([str(tmp_path / source)], tmp_path / "out")


def test_a_source_without_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images found in .*empty"):
        collect_images([str(tmp_path / "empty")])


def test_a_broken_tar_is_named(three: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(three / "a.png")
        tar.add(three / "b.png")
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match=r"cut\.tar: a broken tar"):
        write_shards([str(path)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


# The shards that are written


@settings(max_examples=10)
@given(photos=st.integers(1, 7), shard_size=st.integers(1, 4))
def test_the_manifest_describes_all_shards(flat_dir: Path, photos: int, shard_size: int) -> None:
    with TemporaryDirectory() as temporary:
        out = Path(temporary) / "out"
        sources = [str(path) for path in sorted(flat_dir.glob("*.png"))[:photos]]
        manifest = write_shards(sources, out, name="train", shard_size=shard_size)
        assert json.loads((out / "manifest.json").read_text()) == asdict(manifest)
        assert manifest.photos == photos
        assert [shard["name"] for shard in manifest.shards] == sorted(path.name for path in out.glob("train-*.tar"))
        assert len(manifest.shards) == -(-photos // shard_size)
        for shard in manifest.shards:
            content = (out / shard["name"]).read_bytes()
            assert shard["bytes"] == len(content)
            assert shard["sha256"] == hashlib.sha256(content).hexdigest()
            with tarfile.open(out / shard["name"]) as tar:
                assert shard["photos"] == len(tar.getnames())
                assert len(tar.getnames()) <= shard_size


def test_the_same_photos_give_the_same_bytes(three: Path, tmp_path: Path) -> None:
    first, second = (write_shards([str(three)], tmp_path / name) for name in ("one", "two"))
    assert first == second


def test_images_under_the_smallest_size_are_left_out_and_counted(tmp_path: Path) -> None:
    for height, width in ((31, 100), (100, 31), (32, 100), (64, 64)):
        save(tmp_path / f"in/{height}x{width}.png", picture(0, height, width))
    manifest = write_shards([str(tmp_path / "in")], tmp_path / "out")
    assert (manifest.photos, manifest.too_small) == (2, 2)
    assert sorted(pixels.shape[:2] for pixels in photos_in(tmp_path / "out")) == [(32, 100), (64, 64)]


def test_downscaling_divides_the_sides_before_they_are_measured(tmp_path: Path) -> None:
    save(tmp_path / "in/large.png", np.full((100, 150, 3), 77, np.uint8))
    save(tmp_path / "in/small.png", picture(0, 79, 200))
    manifest = write_shards([str(tmp_path / "in")], tmp_path / "out", min_size=40, downscale=2.0)
    assert (manifest.photos, manifest.too_small) == (1, 1)
    (pixels,) = photos_in(tmp_path / "out")
    assert pixels.shape == (50, 75, 3)
    assert (pixels == 77).all()


@pytest.mark.parametrize("ending", ["jpg", "png"])
@pytest.mark.parametrize("orientation", [None, 1])
def test_plain_jpeg_and_png_go_in_byte_for_byte(tmp_path: Path, ending: str, orientation: int | None) -> None:
    exif = Image.Exif()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    path = save(tmp_path / f"in/photo.{ending}", picture(0), exif=exif)
    write_shards([str(path)], tmp_path / "out")
    ((name, content),) = stored_files(tmp_path / "out").items()
    assert name.endswith(f".{ending}")
    assert content == path.read_bytes()


def test_a_turned_photo_is_stored_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    save(tmp_path / "in/turned.png", picture(0), exif=exif)
    write_shards([str(tmp_path / "in")], tmp_path / "out")
    ((_, content),) = stored_files(tmp_path / "out").items()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.rot90(picture(0), -1))


@pytest.mark.parametrize(
    ("mode", "ending"), [("L", "jpg"), ("CMYK", "jpg"), ("RGBA", "png"), ("P", "gif"), ("I;16", "tif"), ("RGB", "webp")]
)
def test_any_other_image_is_stored_as_rgb_png(tmp_path: Path, mode: str, ending: str) -> None:
    (tmp_path / "in").mkdir()
    Image.new(mode, (40, 40), 0).save(tmp_path / f"in/image.{ending}")
    write_shards([str(tmp_path / "in")], tmp_path / "out")
    ((_, content),) = stored_files(tmp_path / "out").items()
    stored = Image.open(io.BytesIO(content))
    assert (stored.format, stored.mode, stored.size) == ("PNG", "RGB", (40, 40))


def test_a_photo_with_a_colour_profile_is_stored_in_srgb_without_it(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = save(tmp_path / "in/photo.png", picture(0), icc_profile=profile)
    write_shards([str(path)], tmp_path / "out")
    ((_, content),) = stored_files(tmp_path / "out").items()
    stored = Image.open(io.BytesIO(content))
    assert "icc_profile" not in stored.info
    assert np.abs(np.asarray(stored).astype(int) - picture(0)).max() <= 1


# Errors


def test_a_broken_image_is_reported_counted_and_skipped(three: Path, tmp_path: Path) -> None:
    (three / "b.png").write_bytes((three / "b.png").read_bytes()[:1000])
    calls: list[tuple[str, int]] = []
    manifest = write_shards(
        [str(three)], tmp_path / "out", on_image=lambda complaint, total: calls.append((complaint, total))
    )
    assert manifest.photos == 2
    assert list(manifest.broken) == [str(three / "b.png")]
    assert "cannot be read" in manifest.broken[str(three / "b.png")]
    assert [total for _, total in calls] == [3, 3, 3]
    complaints = [complaint for complaint, _ in calls]
    assert complaints[0] == complaints[2] == ""
    assert complaints[1].startswith(str(three / "b.png"))


def test_an_image_that_vanishes_meanwhile_counts_as_broken(three: Path, tmp_path: Path) -> None:
    manifest = write_shards(
        [str(three)], tmp_path / "out", on_image=lambda complaint, total: (three / "b.png").unlink(missing_ok=True)
    )
    assert (manifest.photos, list(manifest.broken)) == (2, [str(three / "b.png")])


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_ends_in_one_message_and_the_next_call_goes_on(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(shards, "_write_shard_quietly", die)
        with pytest.raises(RnncodecError, match="a process that wrote shards was killed"):
            write_shards([str(three)], tmp_path / "out", shard_size=1, jobs=2)
    assert write_shards([str(three)], tmp_path / "out", shard_size=1).photos == 3


def test_nothing_usable_is_an_error_that_says_why(three: Path, tmp_path: Path) -> None:
    (three / "b.png").write_bytes(b"broken")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="no usable image: 1 broken, 2 under 100 pixels"):
        write_shards([str(three)], tmp_path / "out", min_size=100)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_interrupted_run_leaves_nothing_in_its_folder_and_goes_on(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def interrupt(complaint: str, total: int) -> None:
        seen.append(complaint)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards([str(three)], tmp_path / "out", shard_size=1, on_image=interrupt)
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="other options"):
        write_shards([str(three)], tmp_path / "out", shard_size=2)
    added = save(three / "0.png", picture(9))  # a download that goes on
    with pytest.raises(DataError, match="other images"):
        write_shards([str(three)], tmp_path / "out", shard_size=1)
    added.unlink()
    read = []
    monkeypatch.setattr(ImageSource, "read", lambda image: read.append(image.name) or Path(image.path).read_bytes())
    assert write_shards([str(three)], tmp_path / "out", shard_size=1).photos == 3
    assert str(three / "a.png") not in read
    assert all(map(np.array_equal, photos_in(tmp_path / "out"), [picture(seed) for seed in range(3)]))


@pytest.mark.parametrize("part", [(1, 1), (1, 2)])
def test_a_command_that_is_interrupted_while_it_moves_its_shards_goes_on(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: tuple[int, int]
) -> None:
    rename, moved = Path.rename, []

    def interrupt(path: Path, target: Path) -> Path:
        if target.parent.name == "out":
            moved.append(path.name)
            if len(moved) == 2:
                raise KeyboardInterrupt
        return rename(path, target)

    wanted = write_shards([str(three)], tmp_path / "wanted", shard_size=1, part=part)
    monkeypatch.setattr(Path, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_shards([str(three)], tmp_path / "out", shard_size=1, part=part)
    monkeypatch.undo()
    assert len(list((tmp_path / "out").iterdir())) == 1
    assert write_shards([str(three)], tmp_path / "out", shard_size=1, part=part).shards == wanted.shards
    assert stored_files(tmp_path / "out") == stored_files(tmp_path / "wanted")


def test_processes_and_parts_write_the_shards_of_one_run(flat_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for path in flat_dir.glob("*.png"):
        content = path.read_bytes()
        (tmp_path / "photos" / path.name).write_bytes(content if path.name != "04.png" else content[:60])
    sources = [str(tmp_path / "photos")]
    whole = write_shards(sources, tmp_path / "whole", shard_size=2)
    parts = [
        write_shards(sources, tmp_path / "parts", shard_size=2, part=(number, 3), jobs=2 if number == 2 else 1)
        for number in (3, 1, 2)
    ]
    assert stored_files(tmp_path / "parts") == stored_files(tmp_path / "whole")
    assert sum(part.photos for part in parts) == whole.photos == 11
    assert sum(len(part.broken) for part in parts) == 1
    manifests = {path.name for path in (tmp_path / "parts").glob("*.json")}
    assert manifests == {f"manifest-{number}-of-3.json" for number in (1, 2, 3)}
    assert write_shards(sources, tmp_path / "parts", shard_size=2, part=(2, 3)) == parts[2]  # is there already


@pytest.mark.parametrize("part", [(0, 3), (4, 3)])
def test_a_part_beyond_the_last_is_refused(three: Path, tmp_path: Path, part: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="from 1 to the second"):
        write_shards([str(three)], tmp_path / "out", part=part)


def test_nothing_but_shards_and_manifest_is_left_behind(three: Path, tmp_path: Path) -> None:
    write_shards([str(three)], tmp_path / "new" / "out", shard_size=2)
    names = sorted(path.name for path in (tmp_path / "new").rglob("*"))
    assert names == ["manifest.json", "out", "shard-000000.tar", "shard-000001.tar"]


def test_a_folder_that_holds_shards_is_refused(three: Path, tmp_path: Path) -> None:
    write_shards([str(three / "a.png")], tmp_path / "out")
    before = stored_files(tmp_path / "out")
    with pytest.raises(DataError, match="holds shards already"):
        write_shards([str(three)], tmp_path / "out")
    assert stored_files(tmp_path / "out") == before


def test_a_folder_with_tars_of_another_origin_is_refused(three: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "shard-000000.tar").write_bytes(b"precious")
    with pytest.raises(DataError, match="holds shards already"):
        write_shards([str(three)], tmp_path / "out")
    assert (tmp_path / "out" / "shard-000000.tar").read_bytes() == b"precious"


def test_a_folder_that_exists_without_shards_is_used(three: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README").write_text("mine")
    assert write_shards([str(three)], tmp_path / "out").photos == 3
    assert (tmp_path / "out" / "README").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(three: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DataError, match="is a file"):
        write_shards([str(three)], tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_names_with_percent_signs_work(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "100%d" / "50%"
    write_shards([str(three)], out, name="5%s")
    assert [path.name for path in out.glob("*.tar")] == ["5%s-000000.tar"]


def test_shards_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    found = []
    for other in (1, 2):
        for folder, seeds in (("a", [other]), ("b", [3, 4])):
            images = tmp_path / f"images-{other}-{folder}"
            images.mkdir()
            for seed in seeds:
                save(images / f"{seed}.png", picture(seed))
            write_shards([str(images)], tmp_path / f"{other}" / folder)
        shards = [str(tmp_path / f"{other}" / folder / "shard-000000.tar") for folder in ("a", "b")]
        found.append(dataset_identity(shards))
        assert found[-1] == dataset_identity(shards[::-1])
    assert [each["photos"] for each in found] == [3, 3]
    assert found[0]["hash"] != found[1]["hash"]


def test_parts_must_be_of_the_same_images_and_options(three: Path, tmp_path: Path) -> None:
    def write(part: tuple[int, int], **options: Any) -> Manifest:
        return write_shards([str(three)], tmp_path / "out", shard_size=1, part=part, **options)

    first = write((1, 2))
    assert write((1, 2)) == first
    for part, options, different in (((2, 2), {"min_size": 8}, "min_size"), ((1, 4), {}, "parts")):
        with pytest.raises(DataError, match=f"is of a part with other {different};"):
            write(part, **options)
    added = save(three / "0.png", picture(9))
    for part in ((1, 2), (2, 2)):
        with pytest.raises(DataError, match="is of a part with other images;"):
            write(part)
    added.unlink()
    write((2, 2))
    shards = [str(path) for path in sorted((tmp_path / "out").glob("*.tar"))]
    (tmp_path / "out" / "manifest-of-another.json").write_text("[1]")
    assert dataset_identity(shards)["photos"] == 3


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.xz", "tar.lzma"])
def test_members_of_a_tar_that_are_no_images_are_told(three: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"photos.{ending}"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w" if ending == "tar.lzma" else f"w:{ending[4:]}") as tar:
        tar.add(three / "a.png", "a.png")
        tar.add(three / "a.png", "notes.txt")
        linked = tarfile.TarInfo("b.png")
        linked.type, linked.linkname = tarfile.LNKTYPE, "a.png"
        tar.addfile(linked)
    content = packed.getvalue()
    path.write_bytes(lzma.compress(content, format=lzma.FORMAT_ALONE) if ending == "tar.lzma" else content)
    told: list[str] = []
    (image,) = collect_images([str(path)], told.append)
    assert image.read() == (three / "a.png").read_bytes()
    assert told == [f"1 .png file, such as {path}:b.png", f"1 .txt file, such as {path}:notes.txt"]


def test_a_damaged_compressed_tar_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photos.tar.xz"
    with tarfile.open(path, "w:xz"):
        pass

    def damaged(tar: tarfile.TarFile) -> None:
        raise lzma.LZMAError("Corrupt input data")

    monkeypatch.setattr(tarfile.TarFile, "getmembers", damaged)
    with pytest.raises(DataError, match=r"photos.tar.xz: a broken tar \(Corrupt input data\)"):
        collect_images([str(path)])


def test_more_pixels_than_the_limit_are_told_and_can_be_allowed(three: Path, tmp_path: Path) -> None:
    manifest = write_shards([str(three)], tmp_path / "a", max_pixels=40 * 48)
    assert manifest.photos == 3
    with pytest.raises(DataError, match="3 broken"):
        write_shards([str(three)], tmp_path / "b", max_pixels=40 * 48 - 1)
