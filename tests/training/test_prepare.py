import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf, open_dict

from rnncodec import cores
from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.entropy.config import ContextConfig
from rnncodec.entropy.networks import NETWORKS
from rnncodec.entropy.quantization import dequantize_checkerboard
from rnncodec.errors import RnncodecError
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec
from rnncodec.training.build import build_callbacks, build_codec, build_codec_module, build_training
from rnncodec.training.callbacks import ExportWeights
from rnncodec.training.initial_weights import load_initial_context
from rnncodec.training.launch.prepare import check, prepare, resume
from rnncodec.training.launch.start import processes_of
from rnncodec.training.launch.sweep import check_same
from rnncodec.training.process.device import resolve_precision
from rnncodec.training.run.saved_config import load_config
from rnncodec.weights.weights_file import load_model, save_model
from tests.defaults import checkerboard_config, codec_config, recurrent_checkerboard_config

ROOT = Path(__file__).parents[2]


def names(folder: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / folder).glob("*.yaml"))


@pytest.mark.parametrize("experiment", names("conf/experiment"))
def test_every_experiment_can_train(config, experiment: str) -> None:
    start = ["weights=light"] if experiment == "light_24_layers" else []  # its own are not packaged any more
    check(config(f"experiment={experiment}", "data=shards", *start))


SWAPS = [f"{group}={name}" for group in ("model", "loss", "context", "optimizer") for name in names(f"conf/{group}")]


@pytest.mark.parametrize("swap", [*SWAPS, "reconstruction=residual_scaling"])
def test_each_part_of_light_can_be_swapped(config, swap: str) -> None:
    check(config("experiment=light", swap, "model.width=0.1"))


def test_study_knows_the_width_of_a_cell_with_options(config) -> None:
    composed = config(
        "experiment=study", "model=associative_lstm", "model.decoder_cell={name: associative_lstm, copies: 8}"
    )
    check(composed)
    assert composed.model.width == composed.widths.associative_lstm


def test_a_callback_that_is_null_is_left_out(config, tmp_path: Path) -> None:
    folder = f"folder={tmp_path}"
    every = [type(callback).__name__ for callback in build_callbacks(config(folder))]
    fewer = [type(callback).__name__ for callback in build_callbacks(config(folder, "callbacks.strips=null"))]
    assert set(every) - set(fewer) == {"ImageStrips"}


def test_a_sweep_is_no_option_where_the_link_to_the_sweeps_is_missing(config) -> None:
    named = config()
    with open_dict(named):
        named.sweep = "architectures"  # what Hydra makes of +sweep=architectures then
    with pytest.raises(RnncodecError, match="conf/sweep must be a link"):
        check(named)
    with pytest.raises(RnncodecError, match=r"it starts by  wandb sweep sweeps/wandb\.yaml"):
        check(config("+sweep=wandb"))


@pytest.mark.parametrize("sweep", [name for name in names("sweeps") if name != "wandb"])  # that is no sweep of Hydra
def test_every_sweep_names_options_that_exist(config, sweep: str) -> None:
    parameters = OmegaConf.load(ROOT / "sweeps" / f"{sweep}.yaml").hydra.sweeper.params
    for option, values in parameters.items():
        override = OverridesParser.create().parse_override(f"{option}={values}")
        if override.is_interval_sweep():
            tried = [f"{end:g}" for end in (override.value().start, override.value().end)]
        else:
            tried = override.sweep_string_iterator() if override.is_sweep_override() else [values]
        for value in tried:
            composed = config(f"+sweep={sweep}", f"{option}={value}")
            assert composed.group == sweep
            check(composed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["iterations=0"], "iterations must be"),
        (["trainer.max_steps=-1"], "trainer.max_steps must be"),
        (["trainer.devices=0"], "trainer.devices must be"),
        (["model.encoder_cell=transformer"], "unknown encoder_cell 'transformer'; choose from lstm, gru"),
        (["+model.depth=3"], "unknown model options: depth"),
        (["reconstruction.name=guess"], "unknown reconstruction 'guess'"),
        (["model.width=0"], "width must be"),
        (["model.bits=0"], "bits"),
        (["data.train=nowhere/*.tar"], r"no shards found at 'nowhere/\*.tar'"),
        (["data._target_=torch.nn.Identity"], "torch.nn.Identity makes no LightningDataModule"),
        (["loss=l1", "+loss.share=1"], r"losses\.L1 cannot be made from its options: .*unexpected .* 'share'"),
        (["optimizer._target_=nowhere.Adam"], "nowhere.Adam cannot be made from its options: .*'nowhere'"),
        (["data.sampling=best"], "unknown data.sampling 'best'"),
        (["data.patch_size=30"], "data.patch_size must be a multiple of 16"),
        (["data.batch_size=0"], "data.batch_size must be at least 1"),
        (["experiment=light_24_layers"], r"light-0\.1\.0\.safetensors: neither a weights file nor a released model"),
        (["weights=nothing"], "nothing: neither a weights file nor a released model"),
        (["curriculum=4"], r"curriculum needs a list, as in curriculum=\[4\]"),
        (["curriculum=[4,9]"], "curriculum needs whole numbers from 1 to iterations=8"),
        (["iteration_decay=0"], "iteration_decay must be positive"),
        (["callbacks.evaluation.photos=0"], "callbacks.evaluation.photos must be a whole number from 1"),
        (["rate_weight=0.1"], r"rate_weight needs a list, as in rate_weight=\[0.1\]"),
        (["rate_weight=[0,-1]"], "rate_weight needs a list of numbers of at least 0"),
        (["rate_weight=[0.1]", "context.groups=0"], "context.groups must be"),
        (["optimizer.fused=true", "trainer.precision=16-mixed"], "optimizer.fused=true does not work with"),
    ],
)
def test_wrong_options_are_found_before_anything_is_written(
    config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)  # where no weights lie
    with pytest.raises(RnncodecError, match=message):
        prepare(config(*options), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_gpus_are_asked_for_that_the_machine_lacks(config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(RnncodecError, match=r"accelerator=cuda with trainer\.devices=1, but torch can use 0 GPUs"):
        prepare(config("trainer=gpu"), Path("unused"))


def test_a_run_keeps_its_photos_whatever_the_environment_is(
    config, tmp_path: Path, shards_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(config("model.width=0.03", "trainer.accelerator=cpu"), tmp_path / "run")
    monkeypatch.setenv("RNNCODEC_DATA", "elsewhere")
    assert load_config(tmp_path / "run").data.train == f"{shards_dir}/train"
    with pytest.raises(RnncodecError, match=r"other options: data\.train"):
        check_same(config("model.width=0.03", "trainer.accelerator=cpu"), tmp_path / "run")


def test_a_run_keeps_its_wandb_project(config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "alpha")
    prepare(config("model.width=0.03", "trainer.accelerator=cpu", "logger=wandb"), tmp_path / "run")
    monkeypatch.delenv("WANDB_PROJECT")
    assert load_config(tmp_path / "run").logger.project == "alpha"
    check_same(config("model.width=0.03", "trainer.accelerator=cpu", "logger=wandb"), tmp_path / "run")


def test_more_processes_than_cores_are_named(
    config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cores, "available_cores", lambda: 2)
    options = ["model.width=0.03", "trainer.accelerator=cpu"]
    prepare(config(*options, "trainer.devices=2"), tmp_path / "two")
    assert capsys.readouterr().err == ""
    prepare(config(*options, "trainer.devices=4"), tmp_path / "four")
    line = "trainer.devices=4 starts 4 processes, which share 2 cores: fewer would be as fast\n"
    assert capsys.readouterr().err == line


ODD = ["abc", "0", "-1", "1.5", "nan", "inf", "true", "null", "99999999999", "[]"]
FITTING = {  # options, and those of ODD that they can work with
    "iterations": [],
    "iteration_decay": ["1.5", "99999999999"],
    "warmup_steps": ["0"],
    "rate_plateau": ["1.5"],
    "rate_power": ["0", "1.5"],
    "final_lr": ["0"],
    "seed": ["0"],
    "compile": ["true"],
    "matmul_precision": [],
    "trainer.benchmark": ["true", "null"],
    "curriculum": ["null", "[]"],
    "trainer.max_steps": [],
    "trainer.devices": [],
    "trainer.accumulate_grad_batches": [],
    "trainer.gradient_clip_val": ["1.5", "99999999999", "null"],
    "trainer.log_every_n_steps": [],
    "trainer.accelerator": [],
    "trainer.precision": [],
    "trainer.max_time": ["null"],
    "optimizer.lr": ["1.5"],
    "loss.share": ["0"],
    "loss.fall": ["0"],
    "callbacks.average.decay": ["0"],
    "callbacks.last.every_n_steps": ["null"],
    "callbacks.last.every_n_minutes": ["0", "1.5", "null"],
    "callbacks.validation.first_after_minutes": ["0", "1.5"],
    "data.patch_size": [],
    "data.batch_size": [],
    "data.growth": [],
    "data.patches_per_photo": [],
    "data.shuffle_buffer": [],
    "data.steps_per_epoch": [],
    "data.sampling": [],
    "data.smooth": ["0"],
    "data.flip": ["true"],
    "data.val_photos": [],
    "data.val_crop": [],
    "data.num_workers": ["0"],
    "model.width": ["1.5"],
    "model.bits": [],
    "model.priming": ["0"],
    "model.diffusion": ["0"],
    "model.decoder_cell": [],
    "model.binarizer": [],
    "model.encoder_channels": [],
    "model.residual_normalization": ["true"],
    "model.decoder_hidden_kernels": [],
}


@pytest.mark.parametrize("option", FITTING)
def test_odd_values_of_any_option_end_in_one_sentence_before_anything_is_written(
    config, tmp_path: Path, option: str
) -> None:
    for value in ODD:
        if value in FITTING[option]:
            continue
        composed = config("loss=l1_ms_ssim", f"{option}={value}")
        with pytest.raises(RnncodecError) as caught:
            prepare(composed, tmp_path / f"{option}={value}")
        assert option.rpartition(".")[2] in str(caught.value)
        assert len(str(caught.value)) < 300
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


CONTEXT_FITTING = {
    "patches": [],
    "iterations": ["null"],
    "warmup_steps": ["0"],
    "optimizer.lr": ["1.5"],
    "trainer.max_steps": [],
    "context.groups": [],
    "context.radius": [],
    "context.past_radius": ["0"],
    "context.hidden": [],
}


@pytest.mark.parametrize("option", CONTEXT_FITTING)
def test_odd_values_of_a_context_models_options_end_in_one_sentence_too(
    config, tmp_path: Path, tiny_weights: Path, option: str
) -> None:
    for value in ODD:
        if value in CONTEXT_FITTING[option]:
            continue
        composed = config(f"codec={tiny_weights}", f"{option}={value}", of="context")
        with pytest.raises(RnncodecError) as caught:
            prepare(composed, tmp_path / f"{option}={value}")
        assert option.rpartition(".")[2] in str(caught.value)
        assert len(str(caught.value)) < 300
    assert list(tmp_path.iterdir()) == []


def test_context_model_is_prepared_for_its_codec(config, tmp_path: Path, tiny_weights: Path) -> None:
    prepare(config(f"codec={tiny_weights}", of="context"), tmp_path / "run")
    saved = load_config(tmp_path / "run")
    assert saved.iterations == 3  # as many as the codec was trained for
    assert "strips" not in saved.callbacks


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("codec=nothing", "nothing: neither a weights file nor a released model"),
        ("context.groups=0", "context.groups must be"),
        ("+context.depth=2", "unknown context options: depth"),
        ("patches=0", "patches must be a whole number from 1"),
        ("iterations=0", "iterations must be"),
    ],
)
def test_wrong_options_of_a_context_model_are_found_before_anything_is_written(
    config, tmp_path: Path, tiny_weights: Path, option: str, message: str
) -> None:
    with pytest.raises(RnncodecError, match=message):
        prepare(config(f"codec={tiny_weights}", option, of="context"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_prepared_run_is_found_again_wherever_it_is_moved(config, tmp_path: Path) -> None:
    prepare(config(), tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    saved = load_config(tmp_path / "moved")
    assert saved.callbacks.strips.folder == str(tmp_path / "moved")
    assert saved.trainer.accelerator in ("cpu", "cuda")
    assert len(saved.run_id) == 8


def test_run_in_the_folder_is_not_overwritten_by_another(config, tmp_path: Path) -> None:
    prepare(config(), tmp_path / "run")
    before = (tmp_path / "run" / "config.yaml").read_text()
    with pytest.raises(RnncodecError, match="holds a run already; continue it with resume="):
        prepare(config("seed=1"), tmp_path / "run")
    assert (tmp_path / "run" / "config.yaml").read_text() == before


def test_resume_changes_single_options_alone(config, tmp_path: Path) -> None:
    prepare(config(), tmp_path / "run")
    resume(tmp_path / "run", ["resume=whatever", "trainer.max_steps=77"])
    assert load_config(tmp_path / "run").trainer.max_steps == 77
    for override in ("model=lstm", "nonsense=1", "trainer.nonsense=1"):
        with pytest.raises(RnncodecError, match="cannot be changed"):
            resume(tmp_path / "run", [override])


def test_folder_that_is_no_run_cannot_be_resumed(tmp_path: Path) -> None:
    for action in (lambda: resume(tmp_path, []), lambda: processes_of(tmp_path)):
        with pytest.raises(RnncodecError, match="not the folder of a run"):
            action()


@pytest.mark.parametrize(("task", "instead"), [("codec", "start a new run with weights="), ("entropy", "train")])
def test_run_from_before_the_options_were_renamed_says_how_to_go_on(tmp_path: Path, task: str, instead: str) -> None:
    OmegaConf.save({"task": task, "entropy": {"name": "checkerboard"}}, tmp_path / "config.yaml")
    with pytest.raises(RnncodecError, match=f"cannot be resumed, because .* {instead}"):
        resume(tmp_path, [])


@pytest.mark.parametrize("option", ["model=gru", "reconstruction=one_shot", "model.width=0.06"])
def test_weights_of_another_network_are_refused(config, tiny_weights: Path, option: str) -> None:
    with pytest.raises(RnncodecError, match="another network") as caught:
        build_codec(config(f"weights={tiny_weights}", "model=residual_gru", "model.width=0.03", option))
    named = {"model=gru": "encoder_cell is residual_gru there and gru here", "model.width=0.06": "width is 0.03 there"}
    assert named.get(option, "reconstruction is additive there and one_shot here") in str(caught.value)
    assert "binarizer" not in str(caught.value)


def test_cells_have_options_of_their_own(config) -> None:
    codec = build_codec(config("model=lstm", "model.width=0.03", "model.decoder_cell={name:associative_lstm,copies:2}"))
    assert [len(cell.permutations) for cell in codec.decoder.cells] == [2, 2, 2, 2]
    older = config("model=associative_lstm", "model.width=0.03", "+model.copies=2")  # as in the config of an older run
    assert build_codec(older).config.decoder_cell == codec.config.decoder_cell
    for options, message in (("{name:gru,copies:2}", "unknown options"), ("{_target_:nothing.at.All}", "imported")):
        with pytest.raises(RnncodecError, match=message):
            build_codec(config(f"model.decoder_cell={options}"))


def test_weights_trained_with_noise_go_on_deterministic_and_primed(
    config, tmp_path: Path, tiny_codec: IterativeCodec
) -> None:
    stochastic = IterativeCodec(dataclasses.replace(tiny_codec.config, binarizer="stochastic"))
    stochastic.load_state_dict(tiny_codec.state_dict())
    path = tmp_path / "stochastic.safetensors"
    save_model(stochastic, path, {}, half=False)
    options = ["model=residual_gru", "model.width=0.03", "model.priming=2", "model.binarizer=deterministic"]
    codec = build_codec(config(f"weights={path}", *options))
    assert (codec.config.binarizer, codec.config.priming) == ("deterministic", 2)
    assert all(torch.equal(value, tiny_codec.state_dict()[name]) for name, value in codec.state_dict().items())
    features = torch.randn(1, codec.encoder.out_channels, 4, 4)
    signs = [each.binarizer(each.binarizer.project(features, 0)) for each in (codec.train(), tiny_codec)]
    assert torch.equal(*signs)


def test_weights_go_on_with_larger_kernels_on_the_states(
    config, tmp_path: Path, tiny_codec: IterativeCodec, images: torch.Tensor
) -> None:
    save_model(tiny_codec, tmp_path / "weights.safetensors", {}, half=False)
    larger = ["model.encoder_hidden_kernels=[3,3,5]", "model.decoder_hidden_kernels=[3,1,3,5]"]
    options = [f"weights={tmp_path}/weights.safetensors", "model=residual_gru", "model.width=0.03"]
    codec = build_codec(config(*options, *larger))
    assert codec.config.decoder_hidden_kernels == (3, 1, 3, 5)
    with torch.inference_mode():
        _, pictures = codec.eval()(images, 3)
        torch.testing.assert_close(pictures, tiny_codec(images, 3)[1], rtol=0, atol=1e-5)
    with pytest.raises(RnncodecError, match="another network"):
        build_codec(config(*options, "model.decoder_hidden_kernels=[1,1,1,3]"))


@pytest.mark.parametrize("linear_path", [False, True])
def test_weights_go_on_with_more_projections_and_with_a_linear_path(
    config, tmp_path: Path, images: torch.Tensor, linear_path: bool
) -> None:
    torch.manual_seed(0)
    start = IterativeCodec(codec_config(width=0.03, projections=2, linear_path=linear_path)).eval()
    save_model(start, tmp_path / "weights.safetensors", {}, half=False)
    options = [f"weights={tmp_path}/weights.safetensors", "model=residual_gru", "model.width=0.03"]
    codec = build_codec(config(*options, "model.projections=4", "model.linear_path=true"))
    with torch.no_grad():
        torch.testing.assert_close(codec.eval()(images, 5)[1], start(images, 5)[1], rtol=0, atol=1e-5)
    with pytest.raises(RnncodecError, match="another network"):
        build_codec(config(*options, "model.projections=1"))


def test_weights_to_start_from_leave_their_context_model_behind(config, context_weights: Path) -> None:
    started = build_codec(config(f"weights={context_weights}", "model=residual_gru", "model.width=0.03"))
    assert started.context is None
    assert all(part.training for part in started.modules())  # else their residuals' scales would stay as they were


@pytest.mark.parametrize("more", [0, 2])
def test_context_model_starts_from_the_one_of_the_weights_if_its_other_options_are_the_same(
    config, context_weights: Path, context_codec: IterativeCodec, more: int
) -> None:
    wanted = context_codec.context.config
    iterations = wanted.iterations + more
    sizes = [f"context.groups={wanted.groups}", f"context.radius={wanted.radius}"]
    sizes += [f"context.past_radius={wanted.past_radius}", f"context.hidden=[{wanted.hidden[0]},{wanted.hidden[1]}]"]
    sizes += [f"iterations={iterations}", f"weights={context_weights}"]
    codec = ["model=residual_gru", "model.width=0.03", "rate_weight=[0.1]"]
    with_codec = config(*sizes, *codec)
    alone = config(*sizes, f"codec={context_weights}", of="context")
    codes = torch.randint(0, 2, (iterations, 1, wanted.bits, 4, 4)) * 2.0 - 1.0
    for options, name in ((with_codec, "context"), (alone, "model")):
        module, _ = build_training(options)
        network = getattr(module, name)
        assert all(parameter.requires_grad for parameter in network.parameters())
        torch.testing.assert_close(network(codes), dequantize_checkerboard(context_codec.context)(codes))
        options.context.hidden = [8, 4]
    assert build_codec_module(with_codec).context.config.hidden == (8, 4)
    with pytest.raises(RnncodecError, match="no context model that has these options"):
        build_training(alone)


@pytest.mark.parametrize("make", [checkerboard_config, recurrent_checkerboard_config])
@pytest.mark.parametrize("iterations", [2, 3, 5])
def test_context_model_starts_from_one_for_another_number_of_iterations(
    make: Callable[..., ContextConfig], iterations: int
) -> None:
    shape = {"bits": 8, "groups": 2, "hidden": (8, 4)}
    start, wanted = (make(**shape, iterations=number) for number in (3, iterations))
    old, new = (NETWORKS[config.name].network(config) for config in (start, wanted))
    for values in old.parameters():
        torch.nn.init.normal_(values)
    load_initial_context(new, old)
    codes = torch.randint(0, 2, (iterations, 1, 8, 4, 4)) * 2.0 - 1.0
    torch.testing.assert_close(new(codes), old(codes))


def test_provenance_holds_the_options_and_no_paths(config, tiny_weights: Path, tmp_path: Path) -> None:
    start = ["model=residual_gru", "model.width=0.03", f"weights={tiny_weights}", "curriculum=[4,8]"]
    run = config(*start, f"folder={tmp_path}")
    OmegaConf.save(run, tmp_path / "config.yaml")
    module, _ = build_training(run)
    ExportWeights(str(tmp_path)).on_fit_end(L.Trainer(accelerator="cpu", logger=False), module)
    training = load_model(tmp_path).training_info
    assert training["options"]["weights"] == tiny_weights.name
    assert training["options"]["curriculum"] == [4, 8]
    assert not any(str(place) in json.dumps(training) for place in (tmp_path, tiny_weights.parent))


@pytest.mark.parametrize("accelerator", ["cpu", "cuda"])
def test_precision_asked_for_is_kept(accelerator: str) -> None:
    assert resolve_precision("32-true", accelerator) == "32-true"


@pytest.mark.parametrize(
    ("capability", "precision"),
    [("avx512_bf16", "bf16-mixed"), ("amx_bf16", "bf16-mixed"), ("avx512_f", "32-true")],
)
def test_precision_depends_on_the_processor(monkeypatch: pytest.MonkeyPatch, capability: str, precision: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {capability: True}, raising=False)
    assert resolve_precision("auto", "cpu") == precision


def test_exported_weights_fit_bfloat16_and_come_with_the_context_model_of_the_rate_term(
    config, tmp_path: Path, images: torch.Tensor
) -> None:
    run = config("model=residual_gru", "model.width=0.03", "rate_weight=[0.1]", f"folder={tmp_path}")
    OmegaConf.save(run, tmp_path / "config.yaml")
    module, _ = build_training(run)
    before = module.codec.encoder.conv.weight.clone()
    ExportWeights(str(tmp_path), half=True).on_fit_end(L.Trainer(accelerator="cpu", logger=False), module)
    codec = load_model(tmp_path)
    assert all(torch.equal(weight, weight.bfloat16().float()) for weight in codec.parameters())
    assert all(torch.equal(weight, weight.half().float()) for weight in codec.parameters())
    assert torch.equal(module.codec.encoder.conv.weight, before)
    pixels = (images[0].permute(1, 2, 0) * 255).byte().numpy()
    torch_codec = TorchCodec(codec)
    assert len(list(torch_codec.decode(bitstream.read(torch_codec.compress(pixels, 2))))) == 2
    assert torch_codec.coder == bitstream.CONTEXT
