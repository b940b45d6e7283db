"""Where images for shards are found: image files, folders, globs and tars."""

import glob
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rnncodec.errors import DataError
from rnncodec.pictures.folders import files_below, left_out
from rnncodec.pictures.pixels import is_image_name


@dataclass(frozen=True)
class ImageSource:
    """An image that is not read yet: its name, for messages, and where it is: the file at ``path``, or in it, if that
    is a tar, the ``size`` bytes from ``offset`` on, or, if the tar is compressed, the file ``member``."""

    name: str
    path: str
    offset: int | None = None
    size: int = 0
    member: str | None = None

    def read(self) -> bytes:
        """Its content. Raises OSError or tarfile.TarError if it cannot be read."""
        if self.member is not None:
            file = _compressed(self.path).extractfile(self.member)
            assert file is not None  # only regular files are found
            return file.read()
        with open(self.path, "rb") as stream:
            if self.offset is None:
                return stream.read()
            stream.seek(self.offset)
            return stream.read(self.size)


@lru_cache(4)
def _compressed(path: str) -> tarfile.TarFile:
    return tarfile.open(path)


def collect_images(sources: Sequence[str], on_left_out: Callable[[str], None] = lambda line: None) -> list[ImageSource]:
    """The images in ``sources``: image files, folders with all their subfolders, globs, and tars. Links to folders are
    followed, once each. ``on_left_out`` is called with a line on the other files of folders and tars, for each ending.

    Raises:
        DataError: a source does not exist, is a broken tar, or has a folder that cannot be read; or none of them holds
            an image.
    """
    images: list[ImageSource] = []
    for source in sources:
        paths = [source] if os.path.exists(source) else sorted(glob.glob(source, recursive=True))
        if not paths:
            raise DataError(f"{source}: no such file or folder")
        for path in map(Path, paths):
            images += _images_at(path, on_left_out)
    if not images:
        raise DataError(f"no images found in {', '.join(sources)}")
    return images


def _images_at(path: Path, on_left_out: Callable[[str], None]) -> Iterator[ImageSource]:
    if path.is_dir():
        others = []
        for below in files_below(path, _refuse_folder):
            if below.is_file() and is_image_name(below):
                yield ImageSource(str(below), str(below))
            else:
                others.append(below)
        for line in left_out(others):
            on_left_out(line)
    elif tarfile.is_tarfile(path):
        try:
            with tarfile.open(path) as tar:
                members = tar.getmembers()
            compressed = is_compressed(path)
        except (tarfile.TarError, OSError, EOFError, lzma.LZMAError) as error:
            raise DataError(f"{path}: a broken tar ({error})") from None
        others = []
        for member in members:
            name = f"{path}:{member.name}"
            if member.isdir():
                continue
            if not (member.isfile() and is_image_name(member.name)):
                others.append(Path(name))
            elif compressed:
                yield ImageSource(name, str(path), member=member.name)
            else:
                yield ImageSource(name, str(path), member.offset_data, member.size)
        for line in left_out(others):
            on_left_out(line)
    else:
        yield ImageSource(str(path), str(path))


def is_compressed(path: Path) -> bool:
    """Whether a tar is compressed, so that no member can be read by its place in the file."""
    try:
        with tarfile.open(path, "r:"):
            return False
    except tarfile.TarError:
        return True


def _refuse_folder(folder: Path, reason: str) -> None:
    raise DataError(f"{folder}: this folder cannot be read ({reason})")
