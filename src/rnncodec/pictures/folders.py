"""The files of folders, and those that are left out, in words."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from rnncodec.errors import DataError
from rnncodec.pictures.pixels import is_image_name
from rnncodec.pictures.plugins import plugin_for_name
from rnncodec.terminal import counted


def files_below(folder: Path, on_error: Callable[[Path, str], None]) -> list[Path]:
    """What is in ``folder`` and in all folders below it, sorted; without the folders themselves.

    Links to folders are followed. Each folder is visited once, also if links lead to it, and by its own path if it has
    one. ``on_error`` is called with each folder that cannot be listed, and the reason.
    """
    found: list[Path] = []
    visited: set[tuple[int, int]] = set()
    folders = [folder]
    links: list[Path] = []
    while folders or links:
        current = folders.pop() if folders else links.pop()
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            entries = sorted(current.iterdir(), reverse=True)
        except OSError as error:
            on_error(current, error.strerror or str(error))
            continue
        for entry in entries:
            if os.path.isdir(entry):
                (links if entry.is_symlink() else folders).append(entry)
            else:
                found.append(entry)
    return sorted(found)


def find_images(folder: Path, on_left_out: Callable[[str], None] = lambda line: None) -> list[Path]:
    """The images in ``folder``, sorted by name; without those in folders below it. ``on_left_out`` is called with a
    line on the folders, and on the other files of each ending.

    Raises:
        DataError: there is no image, or ``folder`` cannot be listed.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: this folder cannot be read: {error.strerror}") from None
    folders = [path for path in entries if path.is_dir()]
    others = [path for path in entries if not path.is_dir()]
    images = {path: None for path in others if is_image_name(path) and (path.is_file() or not path.exists())}
    if folders:
        on_left_out(f"{counted(len(folders), 'folder')}, such as {folders[0]}")
    for line in left_out(path for path in others if path not in images):
        on_left_out(line)
    if not images:
        raise DataError(f"no images in {folder}")
    return list(images)


def left_out(paths: Iterable[Path]) -> list[str]:
    """How many files of each ending there are among ``paths``, and what to install to read them, in words. Hidden files
    do not count."""
    by_ending: dict[str, list[Path]] = {}
    for path in paths:
        if not path.name.startswith("."):
            by_ending.setdefault(path.suffix.lower(), []).append(path)
    lines = []
    for ending, some in sorted(by_ending.items()):
        kind = f"{ending or 'other'} file"
        line = f"{counted(len(some), kind)}, such as {some[0]}"
        plugin = plugin_for_name(ending)
        lines.append(f"{line}; to read {ending} files: {plugin}" if plugin else line)
    return lines
