"""Weights files on the Hugging Face Hub: ``hf://OWNER/NAME``, or ``hf://OWNER/NAME@REVISION``.

A repository there holds a weights file of rnncodec, unchanged, and its card as README.md.
"""

import functools
import importlib
import os
from pathlib import Path
from typing import Any

from rnncodec.errors import ConfigurationError, ModelError

SCHEME = "hf://"
WEIGHTS = "model.safetensors"  # the name by which the Hub knows a weights file
CARD = "README.md"

HEAD = """---
library_name: rnncodec
tags:
- image-compression
---

"""  # tells the Hub what is in the repository


def is_on_hub(name: str | os.PathLike[str]) -> bool:
    """Whether ``name`` is that of a repository on the Hub."""
    return str(name).startswith(SCHEME)


@functools.cache
def download(address: str) -> Path:
    """The weights file of a repository on the Hub, in the local cache. It is downloaded if the cache has not got it,
    and looked up once in a process.

    Raises:
        ConfigurationError: huggingface_hub is missing.
        ModelError: there is no such file, or it cannot be downloaded.
    """
    library = _library()
    repository, _, revision = address.removeprefix(SCHEME).partition("@")
    try:
        path = library.HfApi().hf_hub_download(repository, WEIGHTS, revision=revision or None)
    except Exception as error:  # huggingface_hub raises many kinds of errors
        raise ModelError(f"{address}: {WEIGHTS} cannot be downloaded ({_first_line(error)})") from None
    return Path(path)


def upload(weights: Path, card: str, repository: str, private: bool, token: str | None) -> str:
    """Write a weights file and its card, in Markdown, to a repository OWNER/NAME on the Hub, which is made if it does
    not exist. Returns the address of the commit.

    Raises:
        ConfigurationError: huggingface_hub is missing, or the Hub refuses the files.
    """
    library = _library()
    content = card if card.startswith("---") else HEAD + card
    try:
        api = library.HfApi(token=token)
        api.create_repo(repository, private=private, exist_ok=True)
        files = [
            library.CommitOperationAdd(WEIGHTS, weights),
            library.CommitOperationAdd(CARD, content.encode()),
        ]
        return str(api.create_commit(repository, files, commit_message="Weights of rnncodec").commit_url)
    except Exception as error:  # huggingface_hub raises many kinds of errors
        raise ConfigurationError(f"{repository}: cannot be written to the Hub ({_first_line(error)})") from None


def _library() -> Any:
    """The package huggingface_hub. Raises ConfigurationError if it is not installed."""
    try:
        return importlib.import_module("huggingface_hub")
    except ModuleNotFoundError:
        raise ConfigurationError("the Hugging Face Hub needs a package: pip install 'rnncodec[hub]'") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
