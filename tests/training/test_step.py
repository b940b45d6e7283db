"""A training step does not wait for its device: nothing is copied to it, and no value is read from it."""

from collections import Counter
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from rnncodec.distortion.losses import L1, L2, MSSSIM, SSIMULACRA2, L1AndMSSSIM, SSIMWeightedL1
from rnncodec.entropy.checkerboard import Checkerboard
from rnncodec.network.codec import IterativeCodec
from rnncodec.training.callbacks import AverageWeights, StepProgressBar, TrainingClock, TrainingMeter
from rnncodec.training.callbacks.average import MovingAverage
from rnncodec.training.module import CodecModule
from tests.defaults import checkerboard_config, codec_config, patches


class Operations(TorchDispatchMode):
    """Counts the operations that touch a tensor on the CPU, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.on_cpu: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(isinstance(x, Tensor) and x.device.type == "cpu" for x in tree_leaves((args, kwargs, result))):
            self.on_cpu[str(func.name())] += 1
        return result


READ = "aten::_local_scalar_dense"  # Tensor.item: on a GPU it waits for all that was asked of it before


def learner(loss: nn.Module, **options: Any) -> CodecModule:
    codec = IterativeCodec(codec_config(width=0.03, **options))
    context = Checkerboard(checkerboard_config(bits=32, iterations=2, groups=2, radius=1, hidden=(8, 4)))
    return CodecModule(
        codec, loss, context, partial(torch.optim.SGD, lr=1e-3), iterations=2, curriculum=None, iteration_decay=0.9,
        rate_weight=[0.1], rate_plateau=1, rate_power=2.0, warmup_steps=1, final_lr=0.1, frozen=[],
        compile=False, seed=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    "loss",
    [L1(), L2(), MSSSIM(), SSIMULACRA2(), L1AndMSSSIM(share=0.84, fall=0.8), SSIMWeightedL1()],
    ids=lambda loss: type(loss).__name__,
)
def test_only_the_first_step_makes_tensors_elsewhere(loss: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # the device "meta" has none
    module = learner(loss, binarizer="stochastic", reconstruction="residual_scaling").to("meta")
    module._trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, max_steps=9)
    module.log = module.log_dict = lambda *_, **__: None  # type: ignore[assignment, method-assign]
    images = torch.rand(2, 3, 48, 48, device="meta")
    module.training_step(images, 0).backward()
    with Operations() as operations:
        module.training_step(images, 1).backward()
    assert not operations.on_cpu


class Mode(L.Callback):
    """Watches the operations from the third to the fifth step."""

    def __init__(self) -> None:
        self.operations = Operations()

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 2:
            self.operations.__enter__()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 5:
            self.operations.__exit__(None, None, None)


def fit(shards_dir: Path, watch: L.Callback, accelerator: str) -> None:
    data = patches(
        str(shards_dir / "train"), str(shards_dir / "val"), batch_size=2, shuffle_buffer=4,
        steps_per_epoch=6, val_crop=176, val_photos=1, num_workers=0,
    )  # fmt: skip
    L.Trainer(
        accelerator=accelerator, devices=1, max_steps=6, log_every_n_steps=100, gradient_clip_val=1.0, logger=False,
        num_sanity_val_steps=0, enable_checkpointing=False, enable_model_summary=False,
        callbacks=[StepProgressBar(), AverageWeights(decay=0.9), TrainingClock(), watch],
    ).fit(learner(L1AndMSSSIM(share=0.84, fall=1.0)), datamodule=data)  # fmt: skip


def test_training_reads_no_value_in_a_step_that_is_not_logged(shards_dir: Path) -> None:
    watch = Mode()
    fit(shards_dir, watch, "cpu")
    assert watch.operations.on_cpu["aten::convolution"] > 0
    assert watch.operations.on_cpu[READ] == 0


@pytest.mark.parametrize(
    ("steps", "ready", "total", "described"),
    [
        (0, 0, 500, "Steps to 500 of 1100"),
        (363, 363, 500, "Steps to 500 of 1100"),  # resumed
        (500, 500, 500, "Steps to 1000 of 1100"),
        (1000, 500, 100, "Steps to 1100 of 1100"),
        (1050, 50, 100, "Steps to 1100 of 1100"),
    ],
)
def test_the_bar_counts_steps_to_the_next_validation(steps: int, ready: int, total: int, described: str) -> None:
    loop = SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=ready)))
    bar = StepProgressBar()
    bar._trainer = SimpleNamespace(  # type: ignore[assignment]
        max_steps=1100, global_step=steps, num_training_batches=500, accumulate_grad_batches=1,
        fit_loop=SimpleNamespace(epoch_loop=loop),
    )  # fmt: skip
    assert bar.total_train_batches == total
    assert bar._get_train_description(0) == described


class Strict(L.Callback):
    """Lets CUDA raise where the third, fourth or fifth step waits for the GPU."""

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 2:
            torch.cuda.set_sync_debug_mode("error")

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 5:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use")
def test_training_does_not_wait_for_the_gpu(shards_dir: Path) -> None:
    try:
        fit(shards_dir, Strict(), "cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_average_moves_towards_the_weights_and_takes_the_buffers_as_they_are() -> None:
    model = nn.BatchNorm1d(3)
    average = MovingAverage(model, decay=0.25)
    with torch.no_grad():
        model.weight.fill_(21.0)
        model.running_mean.fill_(7.0)  # type: ignore[union-attr]
    for expected in (19.0, 19.0 + 2.0 * 9 / 11, 21.0 - 2.0 * 2 / 11 / 4):  # the decays are 1/10, 2/11 and 1/4
        average.update_parameters(model)
        torch.testing.assert_close(average.module.weight, torch.full((3,), expected))
        assert torch.equal(average.module.running_mean, torch.full((3,), 7.0))


def test_average_soon_forgets_the_random_start_also_where_it_goes_on_from_a_checkpoint() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = MovingAverage(model, decay=0.999)
    nn.init.ones_(model.weight)
    for _ in range(250):
        average.update_parameters(model)
    resumed = MovingAverage(model, decay=0.999)
    resumed.load_state_dict(average.state_dict())
    for each in (average, resumed):
        for _ in range(250):
            each.update_parameters(model)
        assert each.module.weight.item() > 0.999
    nn.init.zeros_(model.weight)
    resumed.update_parameters(model)
    assert resumed.module.weight.item() == pytest.approx(501 / 510, abs=1e-3)  # the warm-up did not start again


def test_cpu_seconds_are_those_of_all_processes_also_where_a_run_goes_on_with_more() -> None:
    alone, pair = TrainingClock(), [TrainingClock(), TrainingClock()]
    alone.cpu_seconds = 60.0
    for clock in pair:
        clock.processes = 2
        clock.load_state_dict(alone.state_dict())
    assert sum(clock.cpu_seconds for clock in pair) == 60.0
    alone.load_state_dict(pair[0].state_dict())
    assert alone.cpu_seconds == 60.0
    alone.load_state_dict({"seconds": 1.0, "cpu_seconds": 5.0})  # of an older version
    assert alone.cpu_seconds == 5.0


def test_patches_are_logged_once_for_all_batches_of_an_accumulated_step() -> None:
    module = learner(L1())
    logged: list[float] = []

    def log_dict(values: dict[str, float], **_: Any) -> None:
        if "train/patches" in values:
            logged.append(values["train/patches"])

    module.log_dict = log_dict  # type: ignore[assignment, method-assign]
    run = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, max_steps=2,
        enable_model_summary=False, num_sanity_val_steps=0, accumulate_grad_batches=2, log_every_n_steps=1,
        callbacks=[TrainingMeter()],
    )  # fmt: skip
    run.fit(module, train_dataloaders=DataLoader([torch.rand(3, 3, 16, 16)] * 4, batch_size=None))  # type: ignore[arg-type]
    assert logged == [6.0, 12.0]
