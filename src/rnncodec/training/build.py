"""The objects of a training run, built from its config."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig
from torch import nn

from rnncodec.data.codes import CodesDataModule
from rnncodec.data.datamodule import PatchDataModule
from rnncodec.entropy.contexts import context_config
from rnncodec.entropy.networks import NETWORKS, Network, dequantize
from rnncodec.errors import ConfigurationError, RnncodecError, from_system
from rnncodec.fileformat.bitstream import RAW
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.parts import allow
from rnncodec.terminal import log
from rnncodec.training.context_module import ContextModule
from rnncodec.training.curriculum import Curriculum
from rnncodec.training.initial_weights import load_initial_context, load_initial_weights
from rnncodec.training.module import CodecModule
from rnncodec.training.process.device import resolve_compile
from rnncodec.training.process.ranks import is_first, started_together, world_size
from rnncodec.training.run.checkpoints import AtomicCheckpoints
from rnncodec.training.run.folder import CHECKPOINTS
from rnncodec.training.run.network_config import network_config
from rnncodec.training.run.saved_config import resolved
from rnncodec.weights.weights_file import identities, load_model


def build(config: DictConfig, **options: Any) -> Any:
    """An object of the class that ``_target_`` names, from the other options.

    Raises:
        RnncodecError: the class's own, or a ConfigurationError if the options do not fit it.
    """
    try:
        return instantiate(config, **options)
    except InstantiationException as error:
        if isinstance(error.__cause__, RnncodecError):
            raise error.__cause__ from None
        if isinstance(error.__cause__, OSError):  # a full disk, or a file that may not be read
            raise from_system(error.__cause__) from None
        reason = " ".join(str(error.__cause__ or error).split())  # in one line
        raise ConfigurationError(f"{config._target_} cannot be made from its options: {reason}") from None


def trains_context(config: DictConfig) -> bool:
    """Whether ``config`` is that of a context model's training (conf/context.yaml), not of a codec's."""
    return "codec" in config


def build_training(config: DictConfig) -> tuple[L.LightningModule, L.LightningDataModule]:
    """The module that is trained, and its data.

    Raises:
        RnncodecError: an option cannot work.
    """
    photos = build(config.data)
    if not isinstance(photos, L.LightningDataModule):
        raise ConfigurationError(f"{config.data._target_} makes no LightningDataModule")
    if not trains_context(config):
        return build_codec_module(config), photos
    if not isinstance(photos, PatchDataModule):
        raise ConfigurationError(
            f"a context model is trained on photos of data=shards or data=samples, not of {config.data._target_}"
        )
    codec = load_model(config.codec)
    if config.get("codec_identity") not in (None, identities(codec)[RAW].hex()):
        raise ConfigurationError(
            f"codec={config.codec} has other weights than when this run began; its context model is one for the codes "
            "of those"
        )
    data = CodesDataModule(photos, codec, iterations=config.iterations, patches=config.patches)
    return build_context_module(config, codec), data


def build_callbacks(config: DictConfig) -> list[L.Callback]:
    """The callbacks of a run; those that are null are left out."""
    return [build(callback) for callback in config.callbacks.values() if callback is not None]


def build_trainer(config: DictConfig, callbacks: list[L.Callback], loggers: list[Logger]) -> L.Trainer:
    """Lightning's Trainer, for one process of the run."""
    processes = config.trainer.devices * config.trainer.get("num_nodes", 1)
    if started_together() and processes != world_size():
        raise ConfigurationError(f"the run is to have {processes} processes, but {world_size()} were started")
    strategy: Any = "auto"
    if processes > 1:
        # With one iteration (two for a context model) some convolutions of the states get no gradient.
        fewest = Curriculum(config.get("curriculum"), config.iterations).fewest
        strategy = DDPStrategy(find_unused_parameters=fewest <= 2)
        if is_first():
            log.print(shares(config, processes), soft_wrap=True)
    # Stated, because Lightning would take a job of SLURM for one that srun has started with one task a device.
    environment = TorchElasticEnvironment() if started_together() else LightningEnvironment()
    plugins = [environment, AtomicCheckpoints()]
    return build(config.trainer, callbacks=callbacks, logger=loggers, strategy=strategy, plugins=plugins)


def shares(config: DictConfig, processes: int) -> str:
    """What each of several processes does, and all together."""
    patches = ""
    if "batch_size" in config.data:  # a data module of another package may have no such option
        batch = config.data.batch_size * config.trainer.accumulate_grad_batches
        patches = f"{batch} patches a step each, {batch * processes} together, "
    return (
        f"{processes} processes, {config.trainer.devices} on each machine: {patches}"
        f"at the learning rate {config.optimizer.lr:g} of optimizer.lr"
    )


def build_codec_module(config: DictConfig) -> CodecModule:
    """The module that trains a codec."""
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
        rate_plateau=config.rate_plateau,
        rate_power=config.rate_power,
        warmup_steps=config.warmup_steps,
        final_lr=config.final_lr,
        frozen=config.get("frozen") or [],
        compile=resolve_compile(config.compile, config.trainer.accelerator),
        seed=config.seed,
    )


def build_context_module(config: DictConfig, codec: IterativeCodec) -> ContextModule:
    """The module that trains a context model of the codes of ``codec``."""
    context, optimizer = build_context(config, codec), build(config.optimizer)
    options = {name: config[name] for name in ("iterations", "warmup_steps", "final_lr")}
    return ContextModule(context, optimizer, **options)


def build_codec(config: DictConfig) -> IterativeCodec:
    """A new network, from the groups ``model`` and ``reconstruction``, with random weights or with those that
    ``weights`` names.

    Raises:
        ConfigurationError: an option cannot work, or ``weights`` names another network.
    """
    network = network_config(config)
    allow(network.packages)  # the config of a run is a program
    codec = IterativeCodec(network)
    weights = start_weights(config)
    if weights is not None:
        load_initial_weights(codec, weights)
    return codec


def start_weights(config: DictConfig) -> str | None:
    """The weights that training starts from, if the options name any. A run that has a checkpoint goes on from that,
    and needs them no more: they may have been moved."""
    weights = config.get("weights")
    if weights is None or any((Path(config.folder) / CHECKPOINTS).glob("*.ckpt")):
        return None
    return str(weights)


def build_network(config: DictConfig, shape: dict[str, int]) -> Network:
    """A context model of another package, with random weights."""
    network = build(config, **shape)
    if not isinstance(network, nn.Module):
        raise ConfigurationError(f"{config._target_} makes no module of torch")
    return network


def build_context(config: DictConfig, codec: IterativeCodec) -> Network:
    """A new context model for the codes of ``codec``, with random weights, or with those of the context model that
    comes with ``weights``, if this has the same options. It may be one for fewer or more iterations.

    Raises:
        ConfigurationError: an option of ``context`` cannot work; or a context model alone is trained, and the one of
            ``weights`` has other options.
    """
    options = resolved(config.context)
    shape = {"bits": codec.config.bits, "iterations": config.iterations}
    weights = start_weights(config)
    if "_target_" in options:
        if weights is not None and trains_context(config):
            raise ConfigurationError(f"weights={weights} cannot be those of {config.context._target_}")
        return build_network(config.context, shape)
    wanted = context_config(options | shape)
    start = load_model(weights).context if weights is not None else None
    network = NETWORKS[wanted.name].network(wanted)
    if start is not None and replace(start.config, iterations=config.iterations) == wanted:
        load_initial_context(network, dequantize(start))
    elif weights is not None and trains_context(config):
        raise ConfigurationError(f"{weights} comes with no context model that has these options: {wanted}")
    return network
