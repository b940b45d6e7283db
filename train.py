"""Train a codec, or with  --config-name context  a context model of its codes.

python train.py --help  lists the options;  python train.py -m …  runs every combination of their values.
"""

from pathlib import Path

import hydra
from dotenv import load_dotenv
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig, OmegaConf

from rnncodec.errors import RnncodecError
from rnncodec.training.launch import launch
from rnncodec.training.prepare import prepare, resume

load_dotenv(Path(__file__).resolve().parent / ".env")
OmegaConf.register_new_resolver("either", lambda first, second: first or second)


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    try:
        folder = Path(HydraConfig.get().runtime.output_dir)
        if config.resume is None:
            prepare(config, folder)
        else:
            resume(folder, HydraConfig.get().overrides.task)
        launch(folder)
    except RnncodecError as error:
        raise CompactHydraException(str(error)) from None


if __name__ == "__main__":
    main()
