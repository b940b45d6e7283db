"""A training run: its folder, its processes, its objects.

A run is a folder with a ``config.yaml``. Every process of it starts from that file alone, never from the command line
that made it: ranks that repeat the parent's command line would start its sweep again (hydra 2070, lightning 11300).
"""

import logging
import os
import subprocess
import sys
import uuid
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.nn import functional

from rnncodec.codec import IterativeCodec
from rnncodec.codec_config import CodecConfig
from rnncodec.data.codes import CodesDataModule
from rnncodec.entropy.contexts import CONTEXTS, Network, context_config
from rnncodec.errors import ConfigurationError, RnncodecError, TrainingError
from rnncodec.files import replacing
from rnncodec.model_file import load_model
from rnncodec.run_folder import CHECKPOINTS, CONFIG
from rnncodec.training.checkpoints import newest
from rnncodec.training.checks import check_options
from rnncodec.training.context import ContextModule
from rnncodec.training.device import resolve_accelerator, resolve_precision, share_cores
from rnncodec.training.module import CodecModule

MISSING = object()


def prepare(config: DictConfig, folder: Path) -> None:
    """Make ``folder`` a run: check that ``config`` can train, settle what depends on this machine and this moment, and
    save it there.

    Raises:
        RnncodecError: an option cannot work; nothing was written.
    """
    trainer = config.trainer
    trainer.accelerator = resolve_accelerator(trainer.accelerator)
    trainer.precision = resolve_precision(trainer.precision, trainer.accelerator)
    if trainer.devices == "auto":
        trainer.devices = torch.cuda.device_count() if trainer.accelerator in ("cuda", "gpu") else 1
    config.run_id = config.run_id or uuid.uuid4().hex[:8]
    config.folder = str(folder)
    config.name, config.group = config.name, config.group  # they may refer to hydra's own config, which is not saved
    check(config)
    save_config(config, folder)


def resume(folder: Path, overrides: Sequence[str]) -> None:
    """Take up the run in ``folder`` again, with single options changed by ``overrides`` (``trainer.max_steps=…``).

    Raises:
        RnncodecError: ``folder`` is no run, or an override names a group or an option that does not exist.
    """
    config = load_config(folder)
    changes = [override for override in overrides if not override.startswith("resume=")]
    for option in (change.split("=")[0] for change in changes):
        current = OmegaConf.select(config, option, default=MISSING)
        if current is MISSING or OmegaConf.is_config(current):
            raise ConfigurationError(f"of a resumed run only single options can change; '{option}' is none")
    config.merge_with_dotlist(changes)
    check(config)
    save_config(config, folder)


def check(config: DictConfig) -> None:
    """Find in seconds what would fail in training: build all of it but the trainer.

    Raises:
        RnncodecError: with the first thing that cannot work.
    """
    if config.task == "entropy" and config.iterations is None:
        config.iterations = load_model(config.codec).training_info["iterations"]
    check_options(config)
    devices, present = config.trainer.devices, torch.cuda.device_count()
    if config.trainer.accelerator in ("cuda", "gpu") and devices > present:
        raise ConfigurationError(f"trainer.devices={devices}, but this machine has {present} GPUs that torch can use")
    build_task(config)
    build(config.logger)


def build(config: DictConfig, **options: Any) -> Any:
    """What a config's ``_target_`` makes of its options.

    Raises:
        RnncodecError: the target's own, or a ConfigurationError where the options do not fit it.
    """
    try:
        return instantiate(config, **options)
    except InstantiationException as error:
        if isinstance(error.__cause__, RnncodecError):
            raise error.__cause__ from None
        raise ConfigurationError(str(error)) from None


def codec_config(config: DictConfig) -> CodecConfig:
    """The network's config, from the groups ``model`` and ``reconstruction``."""
    model = cast(dict[str, Any], OmegaConf.to_container(config.model, resolve=True))
    return CodecConfig.from_mapping({**model, "reconstruction": config.reconstruction.name})


def build_codec(config: DictConfig) -> IterativeCodec:
    """A new network, with the weights in the file that ``weights`` names, if it names one.

    That network's config must be the run's, but for the options that the same weights can train under in turn: first
    with the stochastic binarizer, then with the deterministic one; first without priming, then with it; first with
    smaller kernels on the hidden states, then with larger ones, which start out as the smaller ones with zeros around.

    Raises:
        ConfigurationError: the file holds another network.
    """
    wanted = codec_config(config)
    codec = IterativeCodec(wanted)
    if config.weights is None:
        return codec
    start = load_model(config.weights)
    options = ("binarizer", "priming", "diffusion", "encoder_hidden_kernels", "decoder_hidden_kernels")
    free = {name: getattr(wanted, name) for name in options}
    kernels = [network.encoder_hidden_kernels + network.decoder_hidden_kernels for network in (start.config, wanted)]
    shrinks = any(old > new for old, new in zip(*kernels, strict=True))
    if shrinks or replace(start.config, **free) != wanted:
        raise ConfigurationError(f"{config.weights} holds another network than the one asked for: {start.config}")
    shapes = {name: tensor.shape for name, tensor in codec.state_dict().items()}
    codec.load_state_dict({name: padded(tensor, shapes[name]) for name, tensor in start.state_dict().items()})
    return codec


def padded(tensor: Tensor, shape: torch.Size) -> Tensor:
    """``tensor`` amid zeros, where ``shape`` has larger kernels (the last two dimensions)."""
    margins = [(new - old) // 2 for old, new in zip(tensor.shape, shape, strict=True)]
    return functional.pad(tensor, [margin for margin in reversed(margins) for _ in range(2)])


def build_context(config: DictConfig, codec: IterativeCodec) -> Network:
    """A new context model for the codes of ``codec``.

    Raises:
        ConfigurationError: an option of ``entropy`` cannot work.
    """
    options = cast(dict[str, Any], OmegaConf.to_container(config.entropy, resolve=True))
    shape = {"bits": codec.config.bits, "iterations": config.iterations}
    wanted = context_config(options | shape)
    return CONTEXTS[wanted.name].network(wanted)


def build_task(config: DictConfig) -> tuple[L.LightningModule, Any]:
    """What trains, and the LightningDataModule of what it trains on."""
    photos = build(config.data)
    if config.task != "entropy":
        return build_module(config), photos
    codec = load_model(config.codec)
    context = build_context(config, codec)
    data = CodesDataModule(photos, codec, iterations=config.iterations, patches=config.patches)
    optimizer = build(config.optimizer)
    return ContextModule(context, optimizer, warmup_steps=config.warmup_steps, final_lr=config.final_lr), data


def build_module(config: DictConfig) -> CodecModule:
    """What trains a codec."""
    codec = build_codec(config)
    return CodecModule(
        codec,
        build(config.loss),
        build_context(config, codec) if any(config.rate_weight or ()) else None,
        build(config.optimizer),
        iterations=config.iterations,
        curriculum=config.curriculum,
        iteration_decay=config.iteration_decay,
        rate_weight=config.rate_weight,
        warmup_steps=config.warmup_steps,
        final_lr=config.final_lr,
        compile=config.compile,
        seed=config.seed,
    )


def launch(folder: Path) -> None:
    """Run the run in ``folder`` to its end: in this process, or, on several devices, in one for each.

    torchrun starts the processes; should one fail, it ends the others.

    Raises:
        ConfigurationError: ``folder`` is no run.
        TrainingError: every checkpoint in ``folder`` is damaged, or a process failed; its own message is on the
            terminal.
    """
    devices = load_config(folder).trainer.devices
    checkpoint = newest(folder / CHECKPOINTS)
    if devices == 1:
        return fit(folder, checkpoint)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // devices))}
    arguments = [str(folder), *([str(checkpoint)] if checkpoint else [])]
    done = subprocess.run([*torchrun, "-m", "rnncodec.training.run", *arguments], env=environment)
    if done.returncode:
        raise TrainingError(f"training of {folder} failed: one of its {devices} processes ended with an error")


def load_config(folder: Path) -> DictConfig:
    """The saved config of the run in ``folder``. Raises ConfigurationError where there is none."""
    path = folder / CONFIG
    if not path.is_file():
        raise ConfigurationError(f"{folder} is not the folder of a run: it has no {CONFIG}")
    config = cast(DictConfig, OmegaConf.load(path))
    config.folder = str(folder)  # it may have been moved
    return config


def save_config(config: DictConfig, folder: Path) -> None:
    """Save ``config`` as that of the run in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / CONFIG) as temporary:
        OmegaConf.save(config, temporary)


def fit(folder: Path, checkpoint: Path | None) -> None:
    """Train, in this process, from ``checkpoint``, or from the start where it is None."""
    config = load_config(folder)
    devices, accelerator = config.trainer.devices, config.trainer.accelerator
    if accelerator == "cpu" and devices > 1:
        share_cores(devices)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # the table at the end shows it better
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own, of no use to a user
    L.seed_everything(config.seed, workers=True, verbose=False)
    module, data = build_task(config)
    callbacks = [build(callback) for callback in config.callbacks.values()]
    logger = build(config.logger)
    logger.log_hyperparams(OmegaConf.to_container(config, resolve=True))
    strategy: Any = "auto"
    if devices > 1:
        # With one iteration, or two of a context model, the convolutions of the state have nothing to learn from.
        fewest = min([config.iterations, *(config.curriculum or ())])
        strategy = DDPStrategy(find_unused_parameters=fewest <= 2)
    trainer = build(config.trainer, callbacks=callbacks, logger=logger, strategy=strategy)
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    for each in trainer.loggers:
        each.finalize("success")
        if isinstance(each, WandbLogger):
            import wandb

            wandb.finish()


if __name__ == "__main__":
    folder, *checkpoint = (Path(argument) for argument in sys.argv[1:])
    fit(folder, checkpoint[0] if checkpoint else None)
