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

from rnncodec.entropy.checkerboard_integers import CheckerboardContext
from rnncodec.errors import ModelError
from rnncodec.network import parts
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
        decoder_cell={"name": "associative_lstm", "copies": 2},
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


def test_whoever_may_read_other_new_files_may_read_the_weights(tiny_codec: IterativeCodec, tmp_path: Path) -> None:
    save_model(tiny_codec, tmp_path / "w.safetensors", {}, half=True)
    (tmp_path / "other").touch()
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


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
    added = {"priming": 0, "diffusion": 0, "projections": 1, "linear_path": False, "settled_psnr": None}
    assert {name: options.pop(name) for name in added} == added
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for name, value in sorted(tiny_codec.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    assert model_identity(tiny_codec) == digest.digest()[:4]


def test_copies_are_stored_where_older_files_have_them(tmp_path: Path) -> None:
    cell = {"name": "associative_lstm", "copies": 2}
    codec = fresh(codec_config(decoder_cell=cell, width=0.03))
    save_model(codec, tmp_path / "w.safetensors", {}, half=False)
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        stored = json.loads(file.metadata()["config"])
    assert (stored["decoder_cell"], stored["copies"]) == ("associative_lstm", 2)
    assert load_model(tmp_path / "w.safetensors").config == codec.config
    both = fresh(codec_config(encoder_cell=cell, decoder_cell="associative_lstm", width=0.03))
    save_model(both, tmp_path / "both.safetensors", {}, half=False)
    assert load_model(tmp_path / "both.safetensors").config == both.config


# Parts of other packages


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package whose import leaves a trace, with a reconstruction framework and something that is no module."""
    package = f"stranger_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{package}.py").write_text(
        "import pathlib\n"
        "from rnncodec.network.reconstruction import Additive\n"
        "pathlib.Path(__file__).with_name('imported').touch()\n"
        "class Framework(Additive):\n    pass\n"
        "def run(): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(parts, "_allowed", set())
    return package


def test_a_weights_file_imports_no_package_that_is_not_allowed(
    other_package: str, tmp_path: Path, tiny_codec: IterativeCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored(target: str, name: str) -> Path:
        config = dataclasses.replace(tiny_codec.config, reconstruction={"_target_": target})
        renamed = IterativeCodec(tiny_codec.config)
        renamed.config = config
        (tmp_path / name).mkdir()
        save_model(renamed, tmp_path / name / "weights.safetensors", {}, half=False)
        return tmp_path / name / "weights.safetensors"

    path = stored(f"{other_package}.Framework", "run")
    for given in (path, path.parent):
        with pytest.raises(
            ModelError, match=f"needs {other_package}.Framework .* set RNNCODEC_PACKAGES={other_package}"
        ):
            load_model(given)
    (path.parent / "config.yaml").write_text(f"reconstruction:\n  _target_: {other_package}.Framework\n")
    with pytest.raises(ModelError, match="RNNCODEC_PACKAGES"):
        load_model(path)  # the file alone reads no config
    assert not (tmp_path / "imported").exists()
    assert load_model(path.parent).config.packages == [other_package]  # the folder of a run
    assert (tmp_path / "imported").exists()
    monkeypatch.setattr(parts, "_allowed", set())
    monkeypatch.setenv("RNNCODEC_PACKAGES", f"another,{other_package}")
    assert model_identity(load_model(path)) == model_identity(load_model(path.parent))
    monkeypatch.delenv("RNNCODEC_PACKAGES")
    assert type(load_model(path, packages=[other_package]).reconstruction).__name__ == "Framework"
    for target, message in ((".run", "no class of modules"), (".Absent", "no class of modules"), ("x.y", "imported")):
        with pytest.raises(ModelError, match=message):
            load_model(stored(other_package + target, f"bad{target}"), packages=[other_package, f"{other_package}x"])


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
        identities.add(
            model_identity(context_codec, CheckerboardContext(context.config, context.tensors | {name: changed}))
        )
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


def with_header(source: Path, target: Path, **tensors: dict[str, Any]) -> None:
    """Copy a weights file with other claims about some of its tensors in its header."""
    content = source.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    for name, changes in tensors.items():
        header[name.replace("__", ".")] |= changes
    changed = json.dumps(header).encode()
    target.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + length :])


WIDE = {"encoder_channels": [64, 4096, 4096, 4096], "decoder_channels": [512, 4096, 4096, 4096, 4096], "width": 1.0}


@pytest.mark.parametrize(
    "options",
    [
        WIDE,
        WIDE | {"encoder_hidden_kernels": [31, 31, 31], "decoder_hidden_kernels": [31, 31, 31, 31]},
        {"width": 10**400},
        {"encoder_channels": [64, 10**400, 8, 8]},
        {"width": [1]},
        {"bits": True},
        {"priming": 10**9},
        {"encoder_cell": {"gru": 1}},
        {"residual_normalization": 1},
    ],
)
def test_a_config_that_its_tensors_do_not_have_is_refused_before_a_network_is_made(
    weights: Path, tiny_config: CodecConfig, tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    make = IterativeCodec.__init__

    def counted(codec: IterativeCodec, config: CodecConfig) -> None:
        make(codec, config)
        made.append(next(codec.parameters()).device.type)

    monkeypatch.setattr(IterativeCodec, "__init__", counted)
    rewrite(weights, tmp_path / "w.safetensors", config=json.dumps(dataclasses.asdict(tiny_config) | options))
    with pytest.raises(ModelError, match=r"w\.safetensors: its weights and its config do not fit together"):
        load_model(tmp_path / "w.safetensors")
    assert set(made) <= {"meta"}


@pytest.mark.parametrize(
    "training", [{"iterations": "many"}, {"iterations": 0}, {"iterations": None}, {"iterations": True}, [], 7, None]
)
def test_odd_words_about_the_training_are_refused(weights: Path, tmp_path: Path, training: Any) -> None:
    rewrite(weights, tmp_path / "w.safetensors", training=json.dumps(training))
    with pytest.raises(ModelError, match="training"):
        load_model(tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["config", "training", "context"])
@pytest.mark.parametrize("depth", [40, 100_000])
def test_deep_json_is_refused(context_weights: Path, tmp_path: Path, name: str, depth: int) -> None:
    rewrite(context_weights, tmp_path / "w.safetensors", **{name: '{"a":' * depth + "1" + "}" * depth})
    with pytest.raises(ModelError, match="nested"):
        load_model(tmp_path / "w.safetensors")


def test_tensors_of_other_types_are_refused(context_weights: Path, tmp_path: Path) -> None:
    for name, claim in (
        ("encoder__conv__weight", {"dtype": "I32"}),
        ("context__shifts", {"dtype": "F32"}),
        ("context__shifts", {"dtype": "U32"}),
        ("context__hidden", {"dtype": "F16"}),
    ):
        with_header(context_weights, tmp_path / "w.safetensors", **{name: claim})
        with pytest.raises(ModelError, match=f"{name.replace('__', '.')} must be"):
            load_model(tmp_path / "w.safetensors")


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_numbers_of_64_bits_in_a_context_model_are_refused(
    context_codec: IterativeCodec, context_weights: Path, tmp_path: Path, value: int
) -> None:
    wide = {name: tensor.astype(np.int64) for name, tensor in context_codec.context.tensors.items()}
    wide["hidden"][:] = value  # their sum in 64 bits wraps to a small number
    with pytest.raises(ModelError, match="whole numbers"):
        CheckerboardContext(context_codec.context.config, wide)
    with safe_open(context_weights, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["context.hidden"] = torch.from_numpy(wide["hidden"])
    save_file(tensors, tmp_path / "w.safetensors", metadata)
    with pytest.raises(ModelError, match=r"context\.hidden must be I16 or I32"):
        load_model(tmp_path / "w.safetensors")


def test_a_context_model_for_other_bits_is_refused(context_weights: Path, tmp_path: Path) -> None:
    with safe_open(context_weights, framework="pt") as file:
        context = json.loads(file.metadata()["context"])
    rewrite(context_weights, tmp_path / "w.safetensors", context=json.dumps(context | {"bits": 31}))
    with pytest.raises(ModelError, match="for 31 bits a position, the network has 32"):
        load_model(tmp_path / "w.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_neither_written_nor_read(
    tiny_codec: IterativeCodec, weights: Path, tmp_path: Path, value: float
) -> None:
    diverged = fresh(tiny_codec.config)
    with torch.no_grad():
        diverged.decoder.output.bias[1] = value
    with pytest.raises(ModelError, match=r"w\.safetensors is not written, because decoder\.output\.bias .* not finite"):
        save_model(diverged, tmp_path / "w.safetensors", TRAINING, half=False)
    assert not list(tmp_path.iterdir())
    with safe_open(weights, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["decoder.output.bias"][1] = value
    save_file(tensors, tmp_path / "w.safetensors", metadata)
    with pytest.raises(ModelError, match=r"decoder\.output\.bias holds numbers that are not finite"):
        load_model(tmp_path / "w.safetensors")


def test_weights_too_large_for_float16_are_not_written_in_it(tiny_codec: IterativeCodec, tmp_path: Path) -> None:
    large = fresh(tiny_codec.config)
    with torch.no_grad():
        large.decoder.output.bias[1] = 1e6
    with pytest.raises(ModelError, match="not finite"):
        save_model(large, tmp_path / "w.safetensors", TRAINING, half=True)
    save_model(large, tmp_path / "w.safetensors", TRAINING, half=False)
    load_model(tmp_path / "w.safetensors")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path, weights: Path) -> None:
    sparse = tmp_path / "w.safetensors"
    sparse.write_bytes(weights.read_bytes())
    with sparse.open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(ModelError, match="its file has 1,099,511,627,776 bytes"):
        load_model(sparse)
    sparse.write_bytes((2**40).to_bytes(8, "little") + bytes(100))
    with pytest.raises(ModelError, match="its header has 1,099,511,627,776 bytes"):
        load_model(sparse)


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
