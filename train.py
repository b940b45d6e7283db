"""Train a codec, or with  --config-name context  a context model of its codes.

python train.py --help  lists the options;  python train.py -m …  runs every combination of their values.
"""

from pathlib import Path

import hydra
from dotenv import load_dotenv
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

import rnncodec.training.run.resolvers  # noqa: F401
from rnncodec.training.launch.hydra_start import errors_in_one_line
from rnncodec.training.process.ranks import adopt_srun, started_together

load_dotenv(Path(__file__).resolve().parent / ".env")


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> float | None:
    """Returns the figure that ``optimized_metric`` names, for Hydra's sweepers."""
    # Here, because it imports Lightning: that takes seconds, and --help needs none of it.
    from rnncodec.training.launch.start import job, single, train_rank

    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    with errors_in_one_line():
        if hydra_config.mode == RunMode.MULTIRUN:
            return job(config, folder)
        if started_together():
            return train_rank(config, folder, hydra_config.overrides.task)
        return single(config, folder, hydra_config.overrides.task)


if __name__ == "__main__":
    adopt_srun()
    main()
