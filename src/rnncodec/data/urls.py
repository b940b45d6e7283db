"""Lists of shards: from the forms that a user may write to the URLs that webdataset opens."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import braceexpand
import webdataset

from rnncodec.errors import DataError

REMOTE = ("s3", "gs", "hf", "memory")  # what fsspec reads; webdataset would call a program for each of these
EXTRA = "pip install 'rnncodec[remote]'"


def expand_shards(spec: str | Sequence[str]) -> list[str]:
    """The shards that ``spec`` names, in order: local globs (``train-*.tar``), brace lists (``train-{000..011}.tar``),
    folders (their ``*.tar``), ``pipe:`` and ``http(s)://`` URLs as webdataset reads them, and ``s3://``, ``gs://`` and
    ``hf://`` URLs, folders and globs, as fsspec reads them.

    Raises:
        DataError: nothing is found, or a local file does not exist.
    """
    shards: list[str] = []
    for item in filter(None, [spec] if isinstance(spec, str) else spec):
        literal = item.startswith("pipe:") or os.path.exists(item)  # False for a name that is too long
        for url in [item] if literal else braceexpand.braceexpand(item):
            shards += _expand_url(url)
    if not shards:
        raise DataError("no shards given: set data.train and data.val, or RNNCODEC_DATA (see .env.example)")
    return shards


def _expand_url(url: str) -> list[str]:
    if url.partition("://")[0] in REMOTE:
        return _expand_remote(url)
    if url.startswith("pipe:") or "://" in url or Path(url).is_file():
        return [url]
    found = sorted(glob.glob(f"{glob.escape(url)}/*.tar" if Path(url).is_dir() else url))
    if not found:
        raise DataError(f"no shards found at '{url}'; make some with:  rnncodec shards PHOTOS --out DIR")
    return found


def _expand_remote(url: str) -> list[str]:
    """The shards at a URL of fsspec: itself, or the tars in the folder, or what the glob matches."""
    scheme, _, path = url.partition("://")
    if path.endswith(".tar") and "*" not in path:
        return [url]  # it is asked for when it is read: a shard that has vanished is counted and left out
    pattern = path if "*" in path else f"{path.rstrip('/')}/*.tar"
    try:
        found = sorted(file_system(scheme).glob(pattern))
    except Exception as error:  # each service has errors of its own
        raise DataError(f"{url}: cannot be listed ({error})") from None
    if not found:
        raise DataError(f"no shards found at '{url}'")
    return [f"{scheme}://{each.lstrip('/')}" for each in found]


def file_system(scheme: str) -> Any:
    """The file system of fsspec for URLs that begin with ``scheme``.

    Raises:
        DataError: the package that reads it is not installed.
    """
    try:
        import fsspec

        return fsspec.filesystem(scheme)
    except (ImportError, ValueError) as error:
        raise DataError(f"{scheme}:// URLs need more packages ({error}): {EXTRA}") from None


def _open_remote(url: str, mode: str = "rb", bufsize: int = 8192) -> IO[bytes]:
    """Opens a URL for webdataset. It is read from its beginning to its end, in large pieces."""
    scheme, _, path = url.partition("://")
    return file_system(scheme).open(path, mode, cache_type="readahead", block_size=8 * 2**20)


for _scheme in REMOTE:
    webdataset.gopen_schemes[_scheme] = _open_remote
