import dataclasses
import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from rnncodec.entropy.checkerboard_integers import IntegerContext
from rnncodec.errors import ModelError
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.config import CodecConfig
from rnncodec.weights.weights_file import half_holds, load_model, model_identity, save_model
from tests.defaults import codec_config

TRAINING = {"steps": 12, "data": "synthetic"}


@pytest.fixture(scope="module")
def weights(tiny_codec: IterativeCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny network's weights file, in float32."""
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_model(tiny_codec, path, TRAINING, half=False)
    return path


def fresh(config: CodecConfig) -> IterativeCodec:
    torch.manual_seed(0)
    return IterativeCodec(config).eval()


def rewrite(source: Path, target: Path, **metadata: str | None) -> None:
    """Copy a weights file with some of its metadata changed, or, where None, left out."""
    with safe_open(source, framework="pt") as file:
        merged = file.metadata() | metadata
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    save_file(tensors, target, {key: value for key, value in merged.items() if value is not None})


def test_a_network_is_rebuilt_from_its_file_alone(weights: Path, tiny_codec: IterativeCodec, images: Tensor) -> None:
    loaded = load_model(weights)
    assert loaded.config == tiny_codec.config
    assert loaded.training_info == TRAINING
    assert not loaded.training
    assert loaded.state_dict().keys() == tiny_codec.state_dict().keys()
    assert all(torch.equal(value, tiny_codec.state_dict()[name]) for name, value in loaded.state_dict().items())
    codes = tiny_codec.encode(images, 2)
    assert torch.equal(loaded.encode(images, 2), codes)
    assert all(map(torch.equal, loaded.decode(codes), tiny_codec.decode(codes)))


def test_every_option_of_the_config_survives(tmp_path: Path) -> None:
    config = codec_config(
        encoder_cell="lstm",
        decoder_cell="associative_lstm",
        encoder_channels=(8, 8, 16, 24),
        decoder_channels=(24, 16, 16, 8, 8),
        encoder_hidden_kernels=(3, 1, 1),
        decoder_hidden_kernels=(3, 1, 1, 3),
        width=0.5,
        bits=7,
        binarizer="stochastic",
        reconstruction="residual_scaling",
        residual_normalization=False,
        priming=3,
        diffusion=1,
        copies=2,
    )
    save_model(fresh(config), tmp_path / "w.safetensors", {}, half=False)
    assert load_model(tmp_path / "w.safetensors").config == config


def test_a_runs_folder_stands_for_the_weights_in_it(weights: Path, tiny_codec: IterativeCodec) -> None:
    assert model_identity(load_model(weights.parent)) == model_identity(tiny_codec)


def test_half_precision_halves_the_file_and_rounds_the_weights(
    weights: Path, tiny_codec: IterativeCodec, tmp_path: Path
) -> None:
    path = tmp_path / "half.safetensors"
    save_model(tiny_codec, path, TRAINING, half=True)
    assert path.stat().st_size < 0.75 * weights.stat().st_size
    for name, value in load_model(path).state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, tiny_codec.state_dict()[name], rtol=2**-11, atol=2**-24)


def test_nothing_but_the_weights_file_is_left_behind(tiny_codec: IterativeCodec, tmp_path: Path) -> None:
    save_model(tiny_codec, tmp_path / "w.safetensors", {}, half=True)
    save_model(tiny_codec, tmp_path / "w.safetensors", {}, half=False)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


# Identity


@pytest.mark.parametrize("half", [False, True])
def test_identity_survives_saving_and_loading(tiny_codec: IterativeCodec, tmp_path: Path, half: bool) -> None:
    save_model(tiny_codec, tmp_path / "first.safetensors", {}, half=half)
    first = load_model(tmp_path / "first.safetensors")
    save_model(first, tmp_path / "second.safetensors", {"other": "provenance"}, half=half)
    identity = model_identity(first)
    assert len(identity) == 4
    assert model_identity(load_model(tmp_path / "second.safetensors")) == identity
    assert (identity == model_identity(tiny_codec)) is not half


def test_identity_changes_with_any_one_weight(tiny_codec: IterativeCodec) -> None:
    identities = {model_identity(tiny_codec)}
    for name in tiny_codec.state_dict():
        changed = IterativeCodec(tiny_codec.config)
        changed.load_state_dict(tiny_codec.state_dict())
        with torch.no_grad():
            last = changed.state_dict()[name].view(-1)[-1:]
            last.copy_(torch.nextafter(last, torch.tensor(torch.inf)))
        identities.add(model_identity(changed))
    assert len(identities) == 1 + len(tiny_codec.state_dict())


@pytest.mark.parametrize(
    "option",
    [{"binarizer": "stochastic"}, {"reconstruction": "one_shot"}, {"priming": 1}, {"diffusion": 1}],
    ids=lambda option: next(iter(option)),
)
def test_identity_changes_with_the_config_even_if_all_weights_are_the_same(
    option: dict[str, Any], tiny_codec: IterativeCodec
) -> None:
    other = IterativeCodec(dataclasses.replace(tiny_codec.config, **option))
    other.load_state_dict(tiny_codec.state_dict())
    assert model_identity(other) != model_identity(tiny_codec)


def test_options_added_later_leave_older_identities_as_they_are(tiny_codec: IterativeCodec) -> None:
    options = dataclasses.asdict(tiny_codec.config)
    added = {"priming": 0, "diffusion": 0, "copies": 4, "projections": 1, "linear_path": False}
    assert {name: options.pop(name) for name in added} == added
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for name, value in sorted(tiny_codec.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    assert model_identity(tiny_codec) == digest.digest()[:4]


# Context models


def test_a_context_model_travels_with_its_codec(context_weights: Path, context_codec: IterativeCodec) -> None:
    loaded = load_model(context_weights)
    assert loaded.context is not None
    assert context_codec.context is not None
    assert loaded.context.config == context_codec.context.config
    assert loaded.context.tensors.keys() == context_codec.context.tensors.keys()
    for name, tensor in loaded.context.tensors.items():
        assert tensor.dtype == context_codec.context.tensors[name].dtype
        assert np.array_equal(tensor, context_codec.context.tensors[name])
    with safe_open(context_weights, framework="pt") as file:
        assert file.metadata()["identity"] == model_identity(loaded).hex()
        assert file.metadata()["context_identity"] == model_identity(loaded, loaded.context).hex()


def test_identity_changes_with_any_one_number_of_the_context_model(context_codec: IterativeCodec) -> None:
    context = context_codec.context
    assert context is not None
    identities = {model_identity(context_codec), model_identity(context_codec, context)}
    for name, tensor in context.tensors.items():
        changed = tensor.copy()
        changed.flat[-1] -= 1
        identities.add(model_identity(context_codec, IntegerContext(context.config, context.tensors | {name: changed})))
    assert len(identities) == 2 + len(context.tensors)


@pytest.mark.parametrize(
    "config", ['{"groups": 8}', '{"unknown": 1}', "3", "{broken"], ids=["shape", "unknown", "number", "json"]
)
def test_a_context_model_that_does_not_fit_its_config_is_refused(
    context_weights: Path, tmp_path: Path, config: str
) -> None:
    path = tmp_path / "mismatch.safetensors"
    rewrite(context_weights, path, context=config)
    with pytest.raises(ModelError, match=r"mismatch\.safetensors: its weights and its config do not fit"):
        load_model(path)


def test_float16_is_known_where_it_holds_all_weights(tiny_codec: IterativeCodec, tmp_path: Path) -> None:
    assert not half_holds(tiny_codec)
    save_model(tiny_codec, tmp_path / "half.safetensors", {}, half=True)
    assert half_holds(load_model(tmp_path / "half.safetensors"))


# Errors


@pytest.mark.parametrize("name", ["missing.safetensors", "no-such-model", ""])
def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=f"{name}: neither a weights file nor a released model"):
        load_model(name)


@pytest.mark.parametrize("content", [b"", b"not safetensors", bytes(100), b"\xff" * 100])
def test_a_file_that_is_no_safetensors_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"other\.safetensors: not a readable safetensors file"):
        load_model(path)


def test_a_truncated_weights_file_is_refused(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ModelError, match=r"cut\.safetensors"):
        load_model(path)


def test_safetensors_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match=r"foreign\.safetensors: not weights of rnncodec"):
        load_model(path)


def test_a_newer_format_is_refused_with_its_name(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "newer.safetensors"
    rewrite(weights, path, format="rnncodec-99")
    with pytest.raises(ModelError, match="rnncodec-99"):
        load_model(path)


@pytest.mark.parametrize(
    "config",
    [
        json.dumps({"width": 0.06}),
        json.dumps({"width": 0.03, "encoder_cell": "gru"}),
        json.dumps({"width": 0.03, "residual_normalization": False}),
        json.dumps({"width": 0.03, "unknown": 1}),
        json.dumps({"width": "wide"}),
        json.dumps({"width": 0.03, "encoder_cell": ["gru"]}),
        json.dumps({"width": 0.03, "encoder_channels": 7}),
        "{broken",
        "3",
        None,
    ],
)
def test_weights_that_do_not_fit_their_config_are_refused(weights: Path, tmp_path: Path, config: str | None) -> None:
    path = tmp_path / "mismatch.safetensors"
    rewrite(weights, path, config=config)
    with pytest.raises(ModelError, match=r"mismatch\.safetensors: its weights and its config do not fit"):
        load_model(path)


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("exploded"),)


def test_a_pickle_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pickle.safetensors").write_bytes(pickle.dumps(Bomb()))
    torch.save(Bomb(), "torch.safetensors")
    for name in ("pickle.safetensors", "torch.safetensors"):
        with pytest.raises(ModelError, match=name):
            load_model(name)
    assert not Path("exploded").exists()
