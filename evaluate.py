"""Measure a codec:  python evaluate.py --help  lists the options; docs/EVALUATE.md says what they measure.

python evaluate.py -m model=RUN1,RUN2  measures several, and writes one table and one report.
"""

from pathlib import Path

import hydra
from dotenv import load_dotenv
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

import rnncodec.training.launch.hydra_start  # noqa: F401
from rnncodec.coding.signals import ended_by_signals
from rnncodec.errors import RnncodecError, from_system
from rnncodec.terminal import printable

load_dotenv(Path(__file__).resolve().parent / ".env")


@hydra.main(version_base="1.3", config_path="conf/evaluate", config_name="evaluate")
def main(config: DictConfig) -> None:
    # Here, because it imports PyTorch: that takes seconds, and --help needs none of it.
    from rnncodec.evaluation.command import evaluate_and_print, evaluate_in_multirun

    hydra_config = HydraConfig.get()
    try:
        if hydra_config.mode == RunMode.MULTIRUN:
            evaluate_in_multirun(config, Path(hydra_config.runtime.output_dir))
        else:
            evaluate_and_print(config)
    except RnncodecError as error:
        raise CompactHydraException(printable(str(error))) from None
    except OSError as error:  # a full disk, or a file that may not be read
        raise CompactHydraException(printable(str(from_system(error)))) from None


if __name__ == "__main__":
    with ended_by_signals("what is measured is kept, and the same command goes on"):
        main()
