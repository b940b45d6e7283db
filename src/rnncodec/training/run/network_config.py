"""The network of a training run."""

from omegaconf import DictConfig

from rnncodec.network.config import CodecConfig
from rnncodec.training.run.saved_config import resolved


def network_config(config: DictConfig) -> CodecConfig:
    """The shape of the network of a run, from its groups ``model`` and ``reconstruction``.

    Raises:
        ConfigurationError: an option cannot work.
    """
    return CodecConfig.from_stored({**resolved(config.model), "reconstruction": resolved(config.reconstruction)})
