"""Writing WebDataset shards from folders, globs and tars of images."""

import glob
import hashlib
import io
import json
import math
import os
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import webdataset
from PIL import Image

from rnncodec.errors import DataError, ImageError
from rnncodec.imaging import is_image_name, open_image, orientation, to_pixels

MANIFEST = "manifest.json"


@dataclass
class Manifest:
    """The contents of the manifest: counts, and the name, photos, bytes and SHA-256 of each shard."""

    photos: int = 0
    too_small: int = 0
    broken: list[str] = field(default_factory=list)
    shards: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class ImageSource:
    """An image that is not read yet: its name, for messages, and a function that reads its bytes."""

    name: str
    read: Callable[[], bytes]


def find_images(sources: Sequence[str]) -> list[ImageSource]:
    """The images in ``sources``: image files, folders with all their subfolders, globs, and tars.

    Raises:
        DataError: a source does not exist or is a broken tar, or none of them holds an image.
    """
    images: list[ImageSource] = []
    for source in sources:
        paths = [source] if os.path.exists(source) else sorted(glob.glob(source, recursive=True))
        if not paths:
            raise DataError(f"{source}: no such file or folder")
        for path in map(Path, paths):
            images += _images_at(path)
    if not images:
        raise DataError(f"no images found in {', '.join(sources)}")
    return images


def _images_at(path: Path) -> Iterator[ImageSource]:
    if path.is_dir():
        for below in sorted(path.rglob("*")):
            if below.is_file() and is_image_name(below):
                yield ImageSource(str(below), below.read_bytes)
    elif tarfile.is_tarfile(path):
        tar = tarfile.open(path)  # noqa: SIM115 (the readers below need it open)
        try:
            members = tar.getmembers()
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DataError(f"{path}: a broken tar ({error})") from None
        for member in members:
            if member.isfile() and is_image_name(member.name):
                yield ImageSource(f"{path}:{member.name}", partial(_read_member, tar, member))
    else:
        yield ImageSource(str(path), path.read_bytes)


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None  # _images_at gives regular files alone
    return file.read()


def write_shards(
    sources: Sequence[str],
    out: str | Path,
    *,
    name: str = "shard",
    min_size: int = 32,
    downscale: float = 1.0,
    shard_size: int = 128,
    on_image: Callable[[str, int], None] = lambda message, total: None,
) -> Manifest:
    """Write the images in ``sources`` as ``out/NAME-000000.tar``, …, and ``out/manifest.json``.

    Both sides of an image are divided by ``downscale``. Images whose shorter side is then under ``min_size`` pixels are
    left out. A plain RGB JPEG or PNG is copied byte for byte; any other image is stored as a PNG of its pixels (see
    `to_pixels`). A shard has ``shard_size`` photos. After each image ``on_image`` is called with a complaint, or "",
    and the number of all images. Nothing appears under ``out`` before everything is written.

    Raises:
        DataError: a source does not exist, the sources hold no usable image, or ``out`` holds shards already.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; choose a folder")
    if (out / MANIFEST).exists() or any(out.glob("*.tar")):
        raise DataError(f"{out} holds shards already; choose another folder, or remove it first")
    images = find_images(sources)
    manifest = Manifest()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        pattern = str(Path(temporary) / name).replace("%", "%%") + "-%06d.tar"
        with webdataset.ShardWriter(pattern, maxcount=shard_size, maxsize=math.inf, verbose=0, mtime=0) as writer:
            for image in images:
                complaint = ""
                try:
                    sample = _sample(image, min_size, downscale)
                except ImageError as error:
                    complaint = str(error)
                    manifest.broken.append(image.name)
                else:
                    if sample is None:
                        manifest.too_small += 1
                    else:
                        writer.write({"__key__": _key(manifest.photos, image.name), **sample})
                        manifest.photos += 1
                on_image(complaint, len(images))
        if not manifest.photos:
            raise DataError(
                f"no usable image: {len(manifest.broken)} broken, {manifest.too_small} under {min_size} pixels"
            )
        written = sorted(Path(temporary).glob("*.tar"))
        for at, path in enumerate(written):
            photos = min(shard_size, manifest.photos - at * shard_size)
            content = path.read_bytes()
            checksum = hashlib.sha256(content).hexdigest()
            manifest.shards.append({"name": path.name, "photos": photos, "bytes": len(content), "sha256": checksum})
        (Path(temporary) / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n")
        out.mkdir(exist_ok=True)
        for path in [
            *written,
            Path(temporary) / MANIFEST,
        ]:  # the manifest last: it says that all shards are there
            path.rename(out / path.name)
    return manifest


def _key(index: int, name: str) -> str:
    # webdataset ends a key at its first dot
    return f"{index:06d}-{re.sub(r'[^A-Za-z0-9_-]+', '_', Path(name).stem)}"


def _sample(source: ImageSource, min_size: int, downscale: float) -> dict[str, bytes] | None:
    """The file to store, as ``{ending: content}``; None if the image is too small."""
    try:
        content = source.read()
        image = open_image(io.BytesIO(content))
    except (ImageError, OSError, tarfile.TarError) as error:
        raise ImageError(f"{source.name}: {error}") from None
    if min(image.size) / downscale < min_size:
        return None
    plain = image.format in ("JPEG", "PNG") and image.mode == "RGB" and not image.info.get("icc_profile")
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
