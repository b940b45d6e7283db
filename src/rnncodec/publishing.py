"""Putting weights on the Hugging Face Hub."""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from rnncodec import hub
from rnncodec.codec import IterativeCodec
from rnncodec.cost import cost
from rnncodec.errors import ConfigurationError
from rnncodec.model_file import find_model, half_holds, load_model, save_model


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
            codec, path = model, Path(folder) / hub.WEIGHTS
            save_model(codec, path, codec.training_info, half_holds(codec))
        else:
            codec, path = load_model(model), find_model(model)
        beside = path.with_suffix(".md")
        if card is None and beside.is_file():
            card = beside
        text = _description(codec, repository) if card is None else _read(Path(card))
        return hub.upload(path, text, repository, private, token)


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
    rnncodec compress photo.jpg --model {hub.SCHEME}{repository}

Its options:

    {json.dumps(asdict(codec.config), sort_keys=True)}

Its training:

    {json.dumps(codec.training_info, sort_keys=True)}
"""
