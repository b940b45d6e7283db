"""Writing weights to the Hugging Face Hub."""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from rnncodec.errors import ConfigurationError, first_line
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.cost import cost
from rnncodec.weights.hub import SCHEME, WEIGHTS, library
from rnncodec.weights.weights_file import find_model, half_holds, load_model, save_model

CARD = "README.md"

HEAD = """---
library_name: rnncodec
tags:
- image-compression
---

"""  # tells the Hub what is in the repository


def push_to_hub(
    model: IterativeCodec | str | os.PathLike[str],
    repository: str,
    *,
    card: str | os.PathLike[str] | None = None,
    private: bool = False,
    token: str | None = None,
) -> str:
    """Write weights to a repository on the Hugging Face Hub, from where ``load_model("hf://OWNER/NAME")`` reads them.

    Args:
        model: a network, or a released model's name, a weights file, or a run's folder, whose file is uploaded as it
            is.
        repository: OWNER/NAME; it is made if it does not exist.
        card: a Markdown file that describes the model. The default is that beside the weights file, with its name and
            the ending .md, or else a short description of the network.
        private: whether a new repository is private.
        token: of an account that may write there; by default the one that ``hf auth login`` has stored.

    Returns:
        The address of the commit.

    Raises:
        ModelError: there are no such weights.
        ConfigurationError: the card cannot be read, huggingface_hub is missing, or the Hub refuses the files.
    """
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(model, IterativeCodec):
            codec, path = model, Path(folder) / WEIGHTS
            save_model(codec, path, codec.training_info, half_holds(codec))
        else:
            codec, path = load_model(model), find_model(model)
        beside = path.with_suffix(".md")
        if card is None and beside.is_file():
            card = beside
        text = _description(codec, repository) if card is None else _read(Path(card))
        return upload(path, text, repository, private, token)


def _read(card: Path) -> str:
    try:
        return card.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{card}: the card cannot be read ({error})") from None


def _description(codec: IterativeCodec, repository: str) -> str:
    """A card of a network that has none."""
    return f"""# {repository.split("/")[-1]}

A network of rnncodec, recurrent and progressive image compression: {cost(codec.config)}.

    pip install 'rnncodec[hub]'
    rnncodec compress photo.jpg --model {SCHEME}{repository}

Its options:

    {json.dumps(asdict(codec.config), sort_keys=True)}

Its training:

    {json.dumps(codec.training_info, sort_keys=True)}
"""


def upload(weights: Path, card: str, repository: str, private: bool, token: str | None) -> str:
    """Write a weights file and its card, in Markdown, to a repository OWNER/NAME on the Hub, which is made if it does
    not exist. Returns the address of the commit.

    Raises:
        ConfigurationError: huggingface_hub is missing, or the Hub refuses the files.
    """
    hub = library()
    content = card if card.startswith("---") else HEAD + card
    try:
        api = hub.HfApi(token=token)
        api.create_repo(repository, private=private, exist_ok=True)
        files = [
            hub.CommitOperationAdd(WEIGHTS, weights),
            hub.CommitOperationAdd(CARD, content.encode()),
        ]
        return str(api.create_commit(repository, files, commit_message="Weights of rnncodec").commit_url)
    except Exception as error:  # huggingface_hub raises many kinds of errors
        raise ConfigurationError(f"{repository}: cannot be written to the Hub ({first_line(error)})") from None
