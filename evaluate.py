"""Measure a codec:  python evaluate.py --help  lists the options; docs/EVALUATE.md says what they measure.

python evaluate.py -m model=RUN1,RUN2  measures several, and writes one table and one report.
"""

from pathlib import Path

import hydra
from dotenv import load_dotenv
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from rnncodec.coding.signals import ended_by_signals
from rnncodec.training.launch.hydra_start import errors_in_one_line

load_dotenv(Path(__file__).resolve().parent / ".env")


@hydra.main(version_base="1.3", config_path="conf/evaluate", config_name="evaluate")
def main(config: DictConfig) -> None:
    # Here, because it imports PyTorch: that takes seconds, and --help needs none of it.
    from rnncodec.evaluation.command import evaluate_and_print, evaluate_in_multirun

    hydra_config = HydraConfig.get()
    with errors_in_one_line():
        if hydra_config.mode == RunMode.MULTIRUN:
            evaluate_in_multirun(config, Path(hydra_config.runtime.output_dir))
        else:
            evaluate_and_print(config)


if __name__ == "__main__":
    with ended_by_signals("what is measured is kept, and the same command goes on"):
        main()
