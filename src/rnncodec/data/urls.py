"""Lists of shards: from the forms that a user may write to the URLs that webdataset opens."""

import glob
from collections.abc import Sequence
from pathlib import Path

import braceexpand

from rnncodec.errors import DataError


def expand_shards(spec: str | Sequence[str]) -> list[str]:
    """The shards that ``spec`` names, in order: local globs (``train-*.tar``), brace lists (``train-{000..011}.tar``),
    folders (their ``*.tar``), and ``pipe:`` and ``http(s)://`` URLs as webdataset reads them.

    Raises:
        DataError: nothing is found, or a local file does not exist.
    """
    shards: list[str] = []
    for item in filter(None, [spec] if isinstance(spec, str) else spec):
        literal = item.startswith("pipe:") or Path(item).exists()
        for url in [item] if literal else braceexpand.braceexpand(item):
            shards += _expand_url(url)
    if not shards:
        raise DataError("no shards given: set data.train and data.val, or RNNCODEC_DATA (see .env.example)")
    return shards


def _expand_url(url: str) -> list[str]:
    if url.startswith("pipe:") or "://" in url or Path(url).is_file():
        return [url]
    found = sorted(glob.glob(f"{glob.escape(url)}/*.tar" if Path(url).is_dir() else url))
    if not found:
        raise DataError(f"no shards found at '{url}'; make some with:  rnncodec shards PHOTOS --out DIR")
    return found
