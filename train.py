"""Train a codec:  python train.py --help  lists the options,  python train.py -m …  runs every combination."""

from pathlib import Path

import hydra
from dotenv import load_dotenv
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig, OmegaConf

from rnncodec.errors import RnncodecError
from rnncodec.training.run import launch, prepare, resume

ROOT = Path(__file__).resolve().parent

load_dotenv(ROOT / ".env")
OmegaConf.register_new_resolver("either", lambda first, second: first or second)
for path in (ROOT / "sweeps").glob("*.yaml"):
    ConfigStore.instance().store(path.stem, OmegaConf.load(path), group="sweep", package="_global_")


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
