"""Weights on the Hugging Face Hub, by a stand-in that runs on this machine."""

import hashlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image

import rnncodec
from rnncodec.errors import ConfigurationError, ModelError
from rnncodec.network.codec import IterativeCodec
from rnncodec.weights import hub, weights_file
from rnncodec.weights.released import released_models
from rnncodec.weights.weights_file import model_identity
from tests.weights.hub_server import COMMIT, HubServer

TOKEN = "hf_of_the_owner"


@pytest.fixture(autouse=True)
def _only_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reaches another machine, or uses what the user of this one has stored for the Hub."""
    look_up = socket.getaddrinfo

    def local(host: Any, *arguments: Any, **options: Any) -> Any:
        assert host == "127.0.0.1", f"a test asks for {host}"
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", local)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    hub.download.cache_clear()
    yield
    hub.download.cache_clear()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    server = HubServer()
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.address + template[template.index("/{repo_id}") :]
    )
    yield server
    server.close()


def test_weights_that_were_pushed_are_loaded_and_compress(
    server: HubServer, context_weights: Path, context_codec: IterativeCodec
) -> None:
    address = rnncodec.push_to_hub(context_weights, "owner/tiny", token=TOKEN)
    assert address == f"{server.address}/owner/tiny/commit/{COMMIT}"
    assert server.files["owner/tiny"]["model.safetensors"] == context_weights.read_bytes()
    codec = rnncodec.load_model("hf://owner/tiny")
    assert model_identity(codec, codec.context) == model_identity(context_codec, context_codec.context)
    image = Image.new("RGB", (32, 16), "red")
    data = rnncodec.compress(image, model="hf://owner/tiny")
    assert data == rnncodec.compress(image, model=context_weights)
    shown = rnncodec.decompress(data, model="hf://owner/tiny@v1")
    assert np.array_equal(shown, rnncodec.decompress(data, model=context_weights))
    assert server.downloads == 1  # then it is in the cache


def test_a_network_is_pushed_with_a_card_that_describes_it(server: HubServer, tiny_codec: IterativeCodec) -> None:
    rnncodec.push_to_hub(tiny_codec, "owner/tiny", private=True, token=TOKEN)
    assert server.private == {"owner/tiny"}
    card = server.files["owner/tiny"]["README.md"].decode()
    assert card.startswith("---\nlibrary_name: rnncodec\n")
    assert "rnncodec compress photo.jpg --model hf://owner/tiny" in card
    loaded = rnncodec.load_model("hf://owner/tiny")
    assert all(map(torch.equal, loaded.state_dict().values(), tiny_codec.state_dict().values()))


@pytest.mark.parametrize("name", sorted(released_models()))
def test_released_weights_are_pushed_as_they_are_with_their_card(server: HubServer, name: str) -> None:
    rnncodec.push_to_hub(name, f"owner/{name}", token=TOKEN)
    path, files = released_models()[name], server.files[f"owner/{name}"]
    assert hashlib.sha256(files["model.safetensors"]).digest() == hashlib.sha256(path.read_bytes()).digest()
    assert files["README.md"].decode().endswith(path.with_suffix(".md").read_text())


def test_a_card_with_a_head_of_its_own_is_pushed_unchanged(
    server: HubServer, tiny_weights: Path, tmp_path: Path
) -> None:
    card = tmp_path / "card.md"
    card.write_text("---\nlicense: apache-2.0\n---\n\n# Mine\n")
    rnncodec.push_to_hub(tiny_weights, "owner/tiny", card=card, token=TOKEN)
    assert server.files["owner/tiny"]["README.md"].decode() == card.read_text()
    with pytest.raises(ConfigurationError, match="the card cannot be read"):
        rnncodec.push_to_hub(tiny_weights, "owner/tiny", card=tmp_path / "none.md", token=TOKEN)


def test_weights_in_the_local_cache_need_no_network(
    server: HubServer, tiny_weights: Path, tiny_codec: IterativeCodec, tmp_path: Path
) -> None:
    """The layout of the cache, as huggingface_hub documents it: blobs, refs, snapshots."""
    server.close()
    folder = tmp_path / "cache" / "models--owner--cached"
    blob = folder / "blobs" / hashlib.sha256(tiny_weights.read_bytes()).hexdigest()
    snapshot = folder / "snapshots" / COMMIT
    for place in (blob.parent, snapshot, folder / "refs"):
        place.mkdir(parents=True)
    blob.write_bytes(tiny_weights.read_bytes())
    (snapshot / "model.safetensors").symlink_to(blob)
    (folder / "refs" / "main").write_text(COMMIT)
    loaded = rnncodec.load_model("hf://owner/cached")
    assert model_identity(loaded) == model_identity(tiny_codec)


def test_what_is_not_there_or_not_allowed_is_said_in_one_sentence(server: HubServer, tiny_weights: Path) -> None:
    with pytest.raises(ModelError, match=r"hf://owner/none: model\.safetensors cannot be downloaded"):
        rnncodec.load_model("hf://owner/none")
    with pytest.raises(ModelError, match=r"hf://no-owner-and/a/path: .* cannot be downloaded"):
        rnncodec.load_model("hf://no-owner-and/a/path")
    with pytest.raises(ConfigurationError, match="owner/tiny: cannot be written to the Hub") as caught:
        rnncodec.push_to_hub(tiny_weights, "owner/tiny", token="hf_of_another")
    assert "\n" not in str(caught.value)
    server.files["owner/foreign"] = {"model.safetensors": b"no safetensors"}
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        rnncodec.load_model("hf://owner/foreign")


def test_a_file_over_the_limit_is_not_downloaded(
    server: HubServer, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["owner/large"] = {"model.safetensors": tiny_weights.read_bytes()}
    monkeypatch.setattr(weights_file, "MOST_BYTES", len(tiny_weights.read_bytes()) - 1)
    with pytest.raises(ModelError, match=r"hf://owner/large: .* is not downloaded: it has [\d,]+ bytes"):
        rnncodec.load_model("hf://owner/large")
    assert server.downloads == 0


def test_without_huggingface_hub_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rnncodec\[hub\]'"):
        rnncodec.load_model("hf://owner/name")
