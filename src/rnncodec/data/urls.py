"""Shard lists: from what a user writes to the URLs that webdataset opens."""

import glob
from collections.abc import Sequence
from pathlib import Path

import braceexpand

from rnncodec.errors import DataError


def expand_shards(spec: str | Sequence[str]) -> list[str]:
    """The shards that ``spec`` names, in order: local globs (``train-*.tar``), brace lists (``train-{000..011}.tar``),
    folders (their ``*.tar``), and ``pipe:`` and ``http(s)://`` URLs as webdataset reads them.

    Raises:
        DataError: nothing matches, or a local file does not exist.
    """
    shards: list[str] = []
    for item in [spec] if isinstance(spec, str) else spec:
        for url in [item] if item.startswith("pipe:") else braceexpand.braceexpand(item):
            shards += _expand_url(url)
    if not shards:
        raise DataError("no shards given: set data.train and data.val, or RNNCODEC_DATA (see .env.example)")
    return shards


def _expand_url(url: str) -> list[str]:
    if url.startswith("pipe:") or "://" in url:
        return [url]
    pattern = f"{url}/*.tar" if Path(url).is_dir() else url
    found = sorted(glob.glob(pattern))
    if not found:
        raise DataError(f"no shards found at '{url}'; make some with:  rnncodec shards PHOTOS --out DIR")
    return found
