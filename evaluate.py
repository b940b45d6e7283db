"""Measure a codec:  python evaluate.py --help  lists the options; README.md shows what to do with the results."""

from pathlib import Path

import hydra
from dotenv import load_dotenv
from hydra.errors import CompactHydraException
from omegaconf import DictConfig

from rnncodec.errors import RnncodecError
from rnncodec.evaluation.command import evaluate_and_print

load_dotenv(Path(__file__).resolve().parent / ".env")


@hydra.main(version_base="1.3", config_path="conf_evaluate", config_name="evaluate")
def main(config: DictConfig) -> None:
    try:
        evaluate_and_print(config)
    except RnncodecError as error:
        raise CompactHydraException(str(error)) from None


if __name__ == "__main__":
    main()
