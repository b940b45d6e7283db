"""Weights files on the Hugging Face Hub: ``hf://OWNER/NAME``, or ``hf://OWNER/NAME@REVISION``.

A repository there holds a weights file of rnncodec, unchanged, and its card as README.md.
"""

import functools
import importlib
import os
from pathlib import Path
from typing import Any

from rnncodec.errors import ModelError, extra, first_line

SCHEME = "hf://"
WEIGHTS = "model.safetensors"  # the name by which the Hub knows a weights file


def is_on_hub(name: str | os.PathLike[str]) -> bool:
    """Whether ``name`` is that of a repository on the Hub."""
    return str(name).startswith(SCHEME)


@functools.cache
def download(address: str, most_bytes: int) -> Path:
    """The weights file of a repository on the Hub, in the local cache. It is downloaded if the cache has not got it,
    and looked up once in a process.

    Raises:
        ConfigurationError: huggingface_hub is missing.
        ModelError: there is no such file, it has more than ``most_bytes``, or it cannot be downloaded.
    """
    hub = library()
    repository, _, revision = address.removeprefix(SCHEME).partition("@")
    size = size_on_hub(hub, repository, revision)
    if size is not None and size > most_bytes:
        raise ModelError(f"{address}: {WEIGHTS} is not downloaded: it has {size:,} bytes, over {most_bytes:,}")
    try:
        path = hub.HfApi().hf_hub_download(repository, WEIGHTS, revision=revision or None)
    except Exception as error:  # huggingface_hub raises many kinds of errors
        raise ModelError(f"{address}: {WEIGHTS} cannot be downloaded ({first_line(error)})") from None
    return Path(path)


def size_on_hub(hub: Any, repository: str, revision: str) -> int | None:
    """The bytes of a weights file, which the Hub says before they are downloaded; None if it does not: then the file is
    in the cache, or the download says what is wrong."""
    try:
        url = hub.hf_hub_url(repository, WEIGHTS, revision=revision or None)
        size: int | None = hub.HfApi().get_hf_file_metadata(url=url).size
    except Exception:  # huggingface_hub raises many kinds of errors
        return None
    return size


def library() -> Any:
    """The package huggingface_hub. Raises ConfigurationError if it is not installed."""
    with extra("hub", "the Hugging Face Hub"):
        return importlib.import_module("huggingface_hub")
