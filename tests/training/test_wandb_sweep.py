"""The sweep of W&B's own agent: its file gives train.py options that train.py has."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import rnncodec.training.run.resolvers  # noqa: F401

ROOT = Path(__file__).parents[2]


def test_options_of_the_agents_sweep_are_those_of_train_py() -> None:
    sweep = OmegaConf.to_container(OmegaConf.load(ROOT / "sweeps" / "wandb.yaml"), resolve=False)
    assert (ROOT / sweep["program"]).is_file()
    assert sweep["command"][-1] == "${args_no_hyphens}"  # Hydra takes no --optimizer.lr=0.01
    given = []
    for name, parameter in sweep["parameters"].items():
        values = [parameter["value"]] if "value" in parameter else parameter.get("values", [parameter.get("min")])
        given.append(f"{name}={str(values[0]).lower() if isinstance(values[0], bool) else values[0]}")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", given, return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    assert config.logger.job_type == "train"
    assert config.evaluate_at_end is True
    assert sweep["metric"]["name"].startswith("eval/validation/")
