"""Writing WebDataset shards of images.

The images are found in a fixed order, and each shard holds those of one stretch of this order. So shards can be written
by several processes, in parts on several machines, and in several runs, and are the same each time.
"""

import hashlib
import io
import json
import lzma
import re
import shutil
import tarfile
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import webdataset
from PIL import Image

from rnncodec.atomic_file import replacing
from rnncodec.coding.workers import Workers
from rnncodec.data.image_sources import ImageSource, collect_images
from rnncodec.errors import DataError, ImageError, RnncodecError
from rnncodec.pictures.colours import profile_of
from rnncodec.pictures.limits import MAX_PIXELS
from rnncodec.pictures.pixels import open_image, orientation, to_pixels

MANIFEST = "manifest.json"


@dataclass
class Manifest:
    """The contents of the manifest: counts, the reason for each broken image by its name, and the name, photos, bytes
    and SHA-256 of each shard; and the options, with a hash of the names of all images, by which parts must agree."""

    photos: int = 0
    too_small: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    shards: list[dict[str, Any]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    def add(self, other: "Manifest") -> None:
        """Append what ``other`` counts."""
        self.photos += other.photos
        self.too_small += other.too_small
        self.broken |= other.broken
        self.shards += other.shards


@dataclass(frozen=True)
class ShardOptions:
    """What decides the content of shards: see `write_shards`."""

    name: str
    min_size: int
    downscale: float
    shard_size: int
    max_pixels: int


def write_shards(
    sources: Sequence[str],
    out: str | Path,
    *,
    name: str = "shard",
    min_size: int = 32,
    downscale: float = 1.0,
    shard_size: int = 128,
    max_pixels: int = MAX_PIXELS,
    jobs: int = 1,
    part: tuple[int, int] = (1, 1),
    on_image: Callable[[str, int], None] = lambda message, total: None,
    on_left_out: Callable[[str], None] = lambda line: None,
) -> Manifest:
    """Write the images in ``sources`` as ``out/NAME-000000.tar``, …, and ``out/manifest.json``.

    Both sides of an image are divided by ``downscale``. Images whose shorter side is then under ``min_size`` pixels are
    left out, and one of more than ``max_pixels`` counts as broken. A plain RGB JPEG or PNG is copied byte for byte; any
    other image is stored as a PNG of its pixels (see `to_pixels`). A shard has ``shard_size`` images, less those that
    are left out. After each image ``on_image`` is called with a complaint, or "", and the number of all images;
    ``on_left_out`` is that of `collect_images`. Nothing appears under ``out`` before everything is written: until then
    shards are in a hidden folder beside it, from which an interrupted call goes on.

    Args:
        jobs: the number of processes.
        part: ``(k, n)`` writes every n-th shard from the k-th on, and ``manifest-k-of-n.json``, so that n machines
            write all of them. A part that is there already is left as it is.

    Raises:
        DataError: a source does not exist, the sources hold no usable image, ``out`` holds shards already, or parts
            with other options or of other images, or a folder beside it those of such a call that was interrupted.
    """
    out, options = Path(out), ShardOptions(name, min_size, downscale, shard_size, max_pixels)
    number, parts = part
    if not 1 <= number <= parts:
        raise DataError(f"part {number}/{parts}: the first number must be from 1 to the second")
    if jobs < 1:
        raise DataError(f"jobs must be at least 1, not {jobs}")
    suffix = "" if parts == 1 else f"-{number:0{len(str(parts))}d}-of-{parts}"
    manifest_path = out / f"manifest{suffix}.json"
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; choose a folder")
    staging = out.parent / f".{out.name}{suffix}.part"
    there = [path.name for path in out.glob("*.tar")] if parts == 1 else []
    moved = staging.exists() and not any((staging / name).exists() for name in there)  # by an interrupted command
    if (out / MANIFEST).exists() or (there and not moved):
        raise DataError(f"{out} holds shards already; choose another folder, or remove it first")
    images = collect_images(sources, on_left_out)
    names = hashlib.sha256("\n".join(image.name for image in images).encode(errors="surrogateescape")).hexdigest()
    agreed = asdict(options) | {"parts": parts, "images": names}
    if parts > 1:
        check_parts(out, agreed)
        if manifest_path.exists():
            return read_manifest(manifest_path)
    stretches = range((number - 1) * shard_size, len(images), parts * shard_size)
    tasks = {at // shard_size: images[at : at + shard_size] for at in stretches}
    total = sum(map(len, tasks.values()))

    made = _claim(staging, {**agreed, "sources": list(sources), "part": list(part)})
    try:
        results = {}
        with closing(_written(staging, tasks, options, jobs, on_image, total)) as written:  # and its processes
            for shard, result, complaints in written:
                results[shard] = result
                for complaint in complaints:
                    on_image(complaint, total)
        manifest = Manifest(options=agreed)
        for shard in sorted(results):
            manifest.add(results[shard])
        if not manifest.photos and parts == 1:
            raise DataError(
                f"no usable image: {len(manifest.broken)} broken, {manifest.too_small} under {min_size} pixels"
            )
    except DataError:
        shutil.rmtree(staging)
        for folder in made:
            folder.rmdir()
        raise
    out.mkdir(parents=True, exist_ok=True)
    for entry in manifest.shards:
        if (staging / entry["name"]).exists() or not (out / entry["name"]).exists():  # else it was moved before
            (staging / entry["name"]).rename(out / entry["name"])
    with replacing(manifest_path) as temporary:  # the manifest last: it says that all shards are there
        temporary.write_text(json.dumps(asdict(manifest), indent=2) + "\n")
    shutil.rmtree(staging)
    return manifest


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file."""
    return Manifest(**json.loads(path.read_text()))


def check_parts(out: Path, agreed: dict[str, Any]) -> None:
    """Raises DataError if a part in ``out`` was written with other options, or from other images, than ``agreed``: a
    photo could be in two shards then, or in none. Manifests of older versions do not say how they were made."""
    for path in sorted(out.glob("manifest-*-of-*.json")):
        found = read_manifest(path).options
        different = [name for name in agreed if found and found.get(name) != agreed[name]]
        if different:
            raise DataError(
                f"{path} is of a part with other {', '.join(different)}; choose another folder, or remove it"
            )


def _claim(staging: Path, options: dict[str, Any]) -> list[Path]:
    """Make the folder ``staging``, or take up one that was left with the same ``options``. Returns the parents that
    were made."""
    record = staging / "options.json"
    if record.exists() and json.loads(record.read_text()) != options:
        raise DataError(
            f"{staging} holds what an interrupted call with other options or other images has left; remove it first"
        )
    made = [folder for folder in staging.parents if not folder.exists()]
    staging.mkdir(parents=True, exist_ok=True)
    with replacing(record) as temporary:
        temporary.write_text(json.dumps(options))
    return made


def _written(
    staging: Path,
    tasks: dict[int, list[ImageSource]],
    options: ShardOptions,
    jobs: int,
    on_image: Callable[[str, int], None],
    total: int,
) -> Generator[tuple[int, Manifest, list[str]], None, None]:
    """Writes the shards of ``tasks`` that are not in ``staging`` yet, and yields each with its part of the manifest and
    the complaints that ``on_image`` has not seen."""
    left = {}
    for shard, images in tasks.items():
        record = staging / f"{shard:06d}.json"
        if record.exists():
            yield shard, Manifest(**json.loads(record.read_text())), [""] * len(images)
        else:
            left[shard] = images
    if jobs == 1:
        for shard, images in left.items():
            yield shard, write_shard(staging, shard, images, options, lambda text: on_image(text, total)), []
        return
    try:
        with Workers(min(jobs, max(1, len(left))), modules=[__name__]) as pool:
            futures = {pool.submit(_write_shard_quietly, staging, *task, options): task[0] for task in left.items()}
            for future in as_completed(futures):
                yield futures[future], *future.result()
    except BrokenProcessPool:
        raise RnncodecError(
            "a process that wrote shards was killed, as a system does that is out of memory; the finished shards are "
            "kept: start the same command again, with fewer --jobs"
        ) from None


def _write_shard_quietly(
    staging: Path, shard: int, images: list[ImageSource], options: ShardOptions
) -> tuple[Manifest, list[str]]:
    complaints: list[str] = []
    return write_shard(staging, shard, images, options, complaints.append), complaints


def write_shard(
    staging: Path, shard: int, images: Sequence[ImageSource], options: ShardOptions, on_image: Callable[[str], None]
) -> Manifest:
    """Write the shard of number ``shard`` with ``images``, then a record of it. A shard without photos is not written.
    ``on_image`` is called with a complaint about each image, or ""."""
    manifest = Manifest()
    path = staging / f"{options.name}-{shard:06d}.tar"
    with replacing(path) as temporary:
        with open(temporary, "wb") as stream, webdataset.TarWriter(stream, mtime=0) as writer:
            for index, image in enumerate(images, start=shard * options.shard_size):
                complaint = ""
                try:
                    sample = _sample(image, options)
                except ImageError as error:
                    complaint = str(error)
                    manifest.broken[image.name] = complaint.removeprefix(f"{image.name}: ")
                else:
                    if sample is None:
                        manifest.too_small += 1
                    else:
                        writer.write({"__key__": _key(index, image.name), **sample})
                        manifest.photos += 1
                on_image(complaint)
        content = temporary.read_bytes()
    if manifest.photos:
        checksum = hashlib.sha256(content).hexdigest()
        entry = {"name": path.name, "photos": manifest.photos, "bytes": len(content), "sha256": checksum}
        manifest.shards.append(entry)
    else:
        path.unlink()
    with replacing(staging / f"{shard:06d}.json") as temporary:
        temporary.write_text(json.dumps(asdict(manifest)))
    return manifest


def _key(index: int, name: str) -> str:
    # webdataset ends a key at its first dot
    return f"{index:06d}-{re.sub(r'[^A-Za-z0-9_-]+', '_', Path(name).stem)}"


def _sample(source: ImageSource, options: ShardOptions) -> dict[str, bytes] | None:
    """The file to store, as ``{ending: content}``; None if the image is too small."""
    try:
        content = source.read()
        image = open_image(io.BytesIO(content), options.max_pixels)
    except (ImageError, OSError, EOFError, tarfile.TarError, lzma.LZMAError) as error:
        raise ImageError(f"{source.name}: {error}") from None
    downscale = options.downscale
    if min(image.size) / downscale < options.min_size:
        return None
    plain = image.format in ("JPEG", "PNG") and image.mode == "RGB" and profile_of(image)[0] is None
    if downscale == 1.0 and plain and orientation(image) == 1:
        assert image.format is not None
        return {{"JPEG": "jpg", "PNG": "png"}[image.format]: content}
    pixels = Image.fromarray(to_pixels(image)[0])
    if downscale != 1.0:
        size = (round(pixels.width / downscale), round(pixels.height / downscale))
        pixels = pixels.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    pixels.save(buffer, "PNG")
    return {"png": buffer.getvalue()}
