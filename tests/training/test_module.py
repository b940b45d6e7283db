import copy
import shutil
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from torch.utils.data import DataLoader

from rnncodec.distortion.losses import L1
from rnncodec.distortion.metrics import ms_ssim
from rnncodec.entropy.checkerboard import Checkerboard
from rnncodec.errors import ConfigurationError
from rnncodec.network.codec import IterativeCodec
from rnncodec.training.callbacks import CountSkipped, ValidateEveryEpoch
from rnncodec.training.learning_rate import warmup_cosine
from rnncodec.training.module import CodecModule
from tests.defaults import checkerboard_config, codec_config, patches

FEW_CELLS = {  # one of the encoder, and one of the decoder: quick to compile and to train
    "encoder_cell": "gru",
    "decoder_cell": "gru",
    "encoder_channels": (64, 256),
    "decoder_channels": (256, 128),
    "encoder_hidden_kernels": (1,),
    "decoder_hidden_kernels": (1,),
}


def module(codec: IterativeCodec, context: Checkerboard | None = None, **options: object) -> CodecModule:
    settings = {
        "iterations": 2,
        "curriculum": None,
        "iteration_decay": 1.0,
        "rate_weight": [0.0],
        "rate_plateau": 1,
        "rate_power": 2.0,
        "warmup_steps": 1,
    }
    settings |= {"final_lr": 0.1, "frozen": [], "compile": False, "seed": 0} | options
    return CodecModule(codec, L1(), context, partial(torch.optim.Adam, lr=3e-3), **settings)  # type: ignore[arg-type]


def trainer(**options: object) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,  # type: ignore[arg-type]
    )


def test_schedule_warms_up_then_falls_to_its_end() -> None:
    factors = [warmup_cosine(step, 10, 100, 0.05) for step in range(101)]
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert factors[10] == 1.0
    assert factors[-1] == pytest.approx(0.05)
    assert all(later < earlier for earlier, later in pairwise(factors[10:]))


def test_training_learns(shards_dir: Path) -> None:
    torch.manual_seed(0)
    data = patches(
        str(shards_dir / "train"), str(shards_dir / "val"), batch_size=8, shuffle_buffer=64,
        steps_per_epoch=40, val_crop=176, val_photos=2, num_workers=0,
    )  # fmt: skip
    learner = module(IterativeCodec(codec_config(**FEW_CELLS, width=0.06)))
    run = trainer(max_steps=80)
    run.validate(learner, datamodule=data, verbose=False)
    untrained = run.callback_metrics["val/loss"]
    run.fit(learner, datamodule=data)
    assert run.callback_metrics["val/loss"] < 0.9 * untrained
    assert {"val/psnr_t01", "val/ms_ssim_t02", "train/loss_t02"} <= set(run.callback_metrics)


def test_validation_measures_in_full_precision(tiny_codec: IterativeCodec, shards_dir: Path) -> None:
    data = patches(str(shards_dir / "train"), str(shards_dir / "val"), val_crop=176, val_photos=1)
    run = trainer(precision="bf16-mixed")
    run.validate(module(copy.deepcopy(tiny_codec), iterations=1), datamodule=data, verbose=False)
    (crop,) = data.val_crops()
    images = crop[None] / 255.0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        _, (reconstruction,) = tiny_codec(images, 1)
    measured = ms_ssim((reconstruction.clamp(0, 1) * 255).round(), images * 255).mean()
    torch.testing.assert_close(run.callback_metrics["val/ms_ssim_t01"], measured, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("curriculum", "expected"),
    [([1, 2, 4], [1, 1, 2, 2, 4, 4]), ([[1, 1, 4], 4], [1, 1, 4, 4, 4, 4]), ([[2, 4]], [2, 4, 2, 4, 2, 4])],
)
def test_a_curriculum_trains_fewer_iterations_at_first_or_in_turns(
    shards_dir: Path, monkeypatch: pytest.MonkeyPatch, curriculum: list[int | list[int]], expected: list[int]
) -> None:
    trained = []
    forward = IterativeCodec.forward

    def counted(codec: IterativeCodec, images: torch.Tensor, iterations: int) -> tuple[torch.Tensor, torch.Tensor]:
        if codec.training:
            trained.append(iterations)
        return forward(codec, images, iterations)

    monkeypatch.setattr(IterativeCodec, "forward", counted)
    data = patches(
        str(shards_dir / "train"), str(shards_dir / "val"), batch_size=2, shuffle_buffer=4,
        steps_per_epoch=6, val_crop=176, val_photos=1, num_workers=0,
    )  # fmt: skip
    learner = module(IterativeCodec(codec_config(width=0.03)), iterations=4, curriculum=curriculum)
    run = trainer(max_steps=6)
    run.fit(learner, datamodule=data)
    assert trained == expected
    assert "val/psnr_t04" in run.callback_metrics


def rate_learner(rate_weight: list[float], **options: object) -> CodecModule:
    torch.manual_seed(0)
    codec = IterativeCodec(codec_config(**FEW_CELLS, width=0.06))
    context = Checkerboard(checkerboard_config(bits=32, iterations=2, groups=2, radius=1, hidden=(16, 8)))
    return module(codec, context, rate_weight=rate_weight, **options)


class Pieces(L.LightningDataModule):
    """The same images in every step, and nothing to validate on."""

    def __init__(self, images: torch.Tensor, batches: int) -> None:
        super().__init__()
        self.batches = [images] * batches

    def train_dataloader(self) -> DataLoader[torch.Tensor]:
        return DataLoader(self.batches, batch_size=None)  # type: ignore[arg-type]


class Watch(L.Callback):
    """Keeps the gradients, and what is logged, of each batch."""

    def __init__(self) -> None:
        self.gradients: list[dict[str, torch.Tensor]] = []
        self.logged: list[dict[str, torch.Tensor]] = []
        self.seeds: list[int] = []

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        named = pl_module.named_parameters()
        self.gradients.append({name: p.grad.clone() for name, p in named if p.grad is not None})

    def on_train_batch_start(self, *_: object) -> None:
        self.seeds.append(torch.initial_seed())

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        self.logged.append(dict(trainer.callback_metrics))


def fit(learner: CodecModule, images: torch.Tensor, batches: int, **options: object) -> Watch:
    watch = Watch()
    trainer(callbacks=[watch], **options).fit(learner, datamodule=Pieces(images, batches))
    return watch


@pytest.mark.filterwarnings("ignore:skipped")
def test_shards_that_vanish_are_told_at_the_end(
    shards_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(shards_dir / "train", tmp_path / "train")
    data = patches(
        str(tmp_path / "train"), str(shards_dir / "val"), batch_size=2, shuffle_buffer=80,
        steps_per_epoch=1, val_crop=176, val_photos=1, num_workers=0,
    )  # fmt: skip
    sorted((tmp_path / "train").glob("*.tar"))[0].unlink()
    run = trainer(max_steps=2, callbacks=[CountSkipped()])
    run.fit(module(IterativeCodec(codec_config(width=0.03)), iterations=1), datamodule=data)
    counted = int(run.callback_metrics["data/corrupt"])
    assert counted >= 1
    assert f"Skipped: {counted} times a photo or a shard" in capsys.readouterr().out
    run.save_checkpoint(tmp_path / "last.ckpt")
    resumed = trainer(max_steps=3, callbacks=[CountSkipped()])
    again = module(IterativeCodec(codec_config(width=0.03)), iterations=1)
    resumed.fit(again, datamodule=data, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert int(resumed.callback_metrics["data/corrupt"]) > counted


def test_compiled_steps_compute_the_same_and_compile_the_network_twice_for_any_number_of_iterations(
    images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the last stage, which writes C++ and compiles it for most of a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    torch.compiler.reset()
    counters.clear()
    iterations = torch._dynamo.config.recompile_limit + 2
    watched = []
    for compiled in (False, True):
        torch.manual_seed(1)
        codec = IterativeCodec(codec_config(**FEW_CELLS, width=0.03, projections=iterations))
        learner = module(codec, iterations=iterations, compile=compiled)
        watched.append(fit(learner, images[..., :16, :16], 2, max_steps=2))
    plain, traced = watched
    torch.testing.assert_close(plain.gradients[0], traced.gradients[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(plain.logged, traced.logged, rtol=1e-4, atol=1e-6)
    # Of the encoder and the decoder, with and without states, and of the loss.
    assert counters["stats"]["unique_graphs"] == counters["frames"]["total"] == counters["frames"]["ok"] == 5


def test_larger_patches_are_compiled_for_their_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    symbolic = []

    def spy(graph: torch.fx.GraphModule, inputs: list[object]) -> Callable[..., object]:
        shapes = [each.shape for each in inputs if isinstance(each, torch.Tensor)]
        symbolic.append(any(isinstance(side, torch.SymInt) for shape in shapes for side in shape))
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=spy))
    torch.compiler.reset()
    learner = module(IterativeCodec(codec_config(**FEW_CELLS, width=0.03)), compile=True)
    batches = [torch.rand(4, 3, 16, 16), torch.rand(4, 3, 16, 16), torch.rand(1, 3, 32, 32)]
    trainer(max_steps=3).fit(learner, train_dataloaders=DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
    assert len(symbolic) >= 8  # encoder and decoder, with and without states, for two sizes
    assert not any(symbolic)


def test_rate_reaches_the_encoder_and_leaves_the_context_model_alone(images: torch.Tensor) -> None:
    half, whole = (fit(rate_learner([weight]), images, 1, max_steps=1).gradients[0] for weight in (0.5, 1.0))
    assert any(name.startswith("context") for name in whole)
    for name in whole:
        if name.startswith("codec.binarizer"):
            assert not torch.allclose(whole[name], half[name])
        elif name.startswith(("codec.decoder", "context")):  # neither does the decoder change what codes cost
            torch.testing.assert_close(whole[name], half[name])


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_context_model_learns_beside_the_codec_and_changes_nothing_in_it(
    images: torch.Tensor, clip: float | None
) -> None:
    without, beside = rate_learner([0.0]), rate_learner([1e-30])
    without.context = None
    for learner in (without, beside):
        fit(learner, images, 3, max_steps=3, gradient_clip_val=clip)
    for one, other in zip(without.codec.parameters(), beside.codec.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-7)


def test_rate_weights_follow_each_other_in_equal_parts_of_the_steps(images: torch.Tensor) -> None:
    learner = rate_learner([0.0, 2.0])
    for first, second in zip([0.0, 2.0], fit(learner, images, 2, max_steps=2).logged, strict=True):
        bits = [second[f"train/bits_t0{t}"] for t in (1, 2)]
        distortion = (second["train/loss_t01"] + second["train/loss_t02"]) / 2
        torch.testing.assert_close(second["train/loss"], distortion + first * (bits[0] + sum(bits) / 4) / 2)


def test_rate_has_full_weight_up_to_the_plateau(images: torch.Tensor) -> None:
    learner = rate_learner([0.5], iterations=4, rate_plateau=2, rate_power=1.0)
    (logged,) = fit(learner, images, 1, max_steps=1).logged
    rate, losses = 0.0, []
    for t, weight in enumerate((0.5, 0.5, 0.5 * 2 / 3, 0.5 * 2 / 4), start=1):
        rate += logged[f"train/bits_t0{t}"]
        losses.append(logged[f"train/loss_t0{t}"] + weight * rate)
    torch.testing.assert_close(logged["train/loss"], torch.stack(losses).mean())


def test_no_two_batches_of_an_accumulated_step_share_their_noise(images: torch.Tensor) -> None:
    watch = fit(rate_learner([0.0]), images, 6, max_steps=2, accumulate_grad_batches=3)
    assert len(watch.gradients) == 2
    assert len(set(watch.seeds)) == 6


def test_accumulated_training_ends_with_a_validation(shards_dir: Path) -> None:
    data = patches(
        str(shards_dir / "train"), str(shards_dir / "val"), batch_size=2, shuffle_buffer=4,
        steps_per_epoch=2, val_crop=176, val_photos=1, num_workers=0,
    )  # fmt: skip
    validated: list[int] = []
    done = L.pytorch.callbacks.LambdaCallback(on_validation_end=lambda run, _: validated.append(run.global_step))
    trainer(max_steps=3, accumulate_grad_batches=3, callbacks=[ValidateEveryEpoch(first_after_minutes=60), done]).fit(
        module(IterativeCodec(codec_config(width=0.03)), iterations=1), datamodule=data
    )
    assert validated == [2, 3]


def test_rate_term_makes_codes_cheaper(shards_dir: Path) -> None:
    data = patches(
        str(shards_dir / "train"), str(shards_dir / "val"), batch_size=8, shuffle_buffer=64,
        steps_per_epoch=60, val_crop=176, val_photos=2, num_workers=0,
    )  # fmt: skip
    spent = []
    for rate_weight in (1e-6, 0.1):
        run = trainer(max_steps=60)
        run.fit(rate_learner([rate_weight]), datamodule=data)
        spent.append((run.callback_metrics["val/bits_t01"] + run.callback_metrics["val/bits_t02"]).item() / 2)
    assert spent[1] < 0.9 * spent[0]
    assert spent[0] < 0.95  # the context model has learned though the codes heed it so little


def test_powers_of_the_rate_follow_each_other_in_equal_parts_of_the_steps(images: torch.Tensor) -> None:
    learner = rate_learner([1.0], rate_power=[0.0, 2.0])
    for power, logged in zip([0.0, 2.0], fit(learner, images, 2, max_steps=2).logged, strict=True):
        bits = [logged[f"train/bits_t0{t}"] for t in (1, 2)]
        distortion = (logged["train/loss_t01"] + logged["train/loss_t02"]) / 2
        torch.testing.assert_close(logged["train/loss"], distortion + (bits[0] + sum(bits) * 2**-power) / 2)


def test_iteration_decay_weighs_the_losses(tiny_codec: IterativeCodec, images: torch.Tensor) -> None:
    learner = module(IterativeCodec(tiny_codec.config), iterations=3, iteration_decay=0.5)
    learner._trainer = trainer(max_steps=1)
    logged = {}
    learner.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign]
    learner.log_dict = logged.update  # type: ignore[assignment]
    loss = learner.training_step(images, 0)
    first, second, third = (logged[f"train/loss_t0{t}"] for t in (1, 2, 3))
    torch.testing.assert_close(loss.detach(), (4 * first + 2 * second + third) / 7)


def test_frozen_parts_keep_their_weights_and_the_others_learn(tiny_codec: IterativeCodec, shards_dir: Path) -> None:
    data = patches(
        str(shards_dir / "train"), str(shards_dir / "val"), batch_size=2, steps_per_epoch=2, val_crop=176,
        val_photos=1, num_workers=0,
    )  # fmt: skip
    learner = module(IterativeCodec(tiny_codec.config), frozen=["encoder", "binarizer"])
    learner.codec.load_state_dict(tiny_codec.state_dict())
    trainer(max_steps=2).fit(learner, datamodule=data)
    before, after = tiny_codec.state_dict(), learner.codec.state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    parts = {part: {name for name in before if name.startswith(part)} for part in ("encoder", "binarizer", "decoder")}
    assert parts["encoder"] | parts["binarizer"] <= same
    assert not parts["decoder"] & same
    assert {name for name in before if name.startswith("normalization")} <= same  # the encoder keeps its input


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"curriculum": [2, 5]}, "curriculum"),
        ({"curriculum": [[2, 5], 4]}, "curriculum"),
        ({"curriculum": [[], 4]}, "curriculum"),
        ({"iteration_decay": 0.0}, "iteration_decay"),
        ({"rate_weight": [0.1, -0.5]}, "rate_weight"),
        ({"rate_power": [1.8, -1.4]}, "rate_power"),
        ({"frozen": ["decoder", "cells"]}, "frozen"),
        ({"frozen": ["encoder", "binarizer", "decoder"]}, "frozen"),
    ],
)
def test_impossible_options_are_named(tiny_codec: IterativeCodec, options: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        module(copy.deepcopy(tiny_codec), **({"context": nn.Identity(), "iterations": 4} | options))  # type: ignore


def test_validation_is_not_compiled(shards_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    config = codec_config(**FEW_CELLS, width=0.03)
    learner = module(IterativeCodec(config), iterations=1, compile=True)
    data = patches(
        str(shards_dir / "train"), str(shards_dir / "val"), batch_size=2, shuffle_buffer=4,
        steps_per_epoch=1, val_crop=176, val_photos=1, num_workers=0,
    )  # fmt: skip
    trainer(max_steps=1).validate(learner, datamodule=data, verbose=False)
    assert not graphs
    trainer(max_steps=1, limit_val_batches=0).fit(learner, datamodule=data)
    assert graphs
