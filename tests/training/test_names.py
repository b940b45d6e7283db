"""The names of a sweep's jobs, as Hydra's launchers compose them."""

import pickle
import re
from collections.abc import Callable, Iterator

import pytest
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf

from rnncodec.evaluation.ablation.runs import multirun
from rnncodec.training.launch.sweep import given_options, tell_jobs_what_is_swept
from rnncodec.training.run.resolvers import LONGEST, in_path, swept
from tests.training.conftest import CONF

Names = Callable[..., list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """The names of the jobs of ``train.py -m OPTIONS``."""
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)

    def of(*options: str, config: str = "train") -> list[str]:
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        sweep = hydra.compose_config(config, ["hydra.mode=MULTIRUN", *options], RunMode.MULTIRUN)
        tell_jobs_what_is_swept(sweep)
        sweep = pickle.loads(pickle.dumps(sweep))  # as the processes of launchers get it
        given = given_options(sweep.hydra.sweeper.params or {}, sweep.hydra.overrides.task)
        found = []
        for number, overrides in enumerate(BasicSweeper.split_arguments(list(given.values()), None)[0]):
            job = hydra.config_loader.load_sweep_config(sweep, list(overrides))
            job.hydra.job.num = number
            HydraConfig.instance().set_config(job)
            assert job.hydra.sweep.subdir == f"{number}-{in_path(job.name)}"
            found.append(job.name)
        options = OmegaConf.to_container(sweep.hydra, resolve=False)
        assert multirun(options)[0] == f"python train.py -m {' '.join(sweep.hydra.overrides.task)}"  # as it was given
        return found

    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield of


def test_jobs_are_named_by_what_the_sweep_changes(names: Names) -> None:
    assert names("seed=1,2", "model=gru,lstm", "trainer.max_steps=7") == [
        "gru-additive-seed=1", "lstm-additive-seed=1", "gru-additive-seed=2", "lstm-additive-seed=2",
    ]  # fmt: skip


def test_jobs_of_an_experiment_and_of_a_context_model_have_names_of_their_own(names: Names) -> None:
    assert names("experiment=paper,light") == ["paper", "light"]
    assert names("experiment=paper", "seed=0,1") == ["paper-seed=0", "paper-seed=1"]
    assert names("context=checkerboard", "seed=0,1", config="context") == [
        "context-checkerboard-seed=0", "context-checkerboard-seed=1",
    ]  # fmt: skip


def test_a_name_that_was_given_stays(names: Names) -> None:
    assert names("seed=0,1", "name=mine") == ["mine", "mine"]
    assert names("+sweep=architectures", "model=gru", "reconstruction=additive") == ["gru-additive-0"]
    assert names("seed=1") == ["gru-additive"]


def ends(*options: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ends of the names of the jobs of a sweep of ``options``, without the rest of the config."""
    excluded = {"config": {"override_dirname": {"exclude_keys": []}}}
    hydra = {"mode": RunMode.MULTIRUN, "job": excluded, "overrides": {"hydra": [], "task": [*options]}}
    sweep = OmegaConf.create({"hydra": hydra})
    tell_jobs_what_is_swept(sweep)
    (excluded,) = OverridesParser.create().parse_overrides(sweep.hydra.overrides.hydra)
    OmegaConf.update(sweep, excluded.key_or_group, excluded.value())
    monkeypatch.setattr(HydraConfig.instance(), "cfg", sweep)
    found = []
    jobs = BasicSweeper.split_arguments(list(given_options({}, options).values()), None)[0]
    for sweep.hydra.job.num, sweep.hydra.overrides.task in enumerate(map(list, jobs)):
        found.append(swept())
    return found


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("loss=l1,decibels", ["-loss=l1", "-loss=decibels"]),
        ("optimizer.lr=1e-3,0.01", ["-optimizer.lr=0.001", "-optimizer.lr=0.01"]),
        ("seed=range(2)", ["-seed=0", "-seed=1"]),
        ("compile=true,auto", ["-compile=True", "-compile=auto"]),
        ("curriculum=null,[4,8]", ["-curriculum=null", "-curriculum=[4,8]"]),
        (r"data.folder='/a b/x','y\'s'", ["-data.folder=/a b/x", "-data.folder=ys"]),
        ("iterations='${seed}',4", ["-iterations={seed}", "-iterations=4"]),
        ("+model.copies=1,2", ["-model.copies=1", "-model.copies=2"]),
        ("++seed=-1,2", ["-seed=-1", "-seed=2"]),
        ("db@backup=a,b", ["-db=a", "-db=b"]),
        ("model.decoder_cell.name=gru,lstm", ["-model.decoder_cell=gru", "-model.decoder_cell=lstm"]),
        ("loss._target_=rnncodec.distortion.losses.L1,mine.Loss", ["-loss=L1", "-loss=mine.Loss"]),
        ("logger=csv,wandb", ["", ""]),
    ],
)
def test_options_of_all_kinds_are_readable(option: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ends("+data.mine=[1,2]", option, "a/b@c=d", monkeypatch=monkeypatch) == expected


def test_options_that_are_too_long_for_a_name_are_the_number_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = ",".join(["0.12345"] * (LONGEST // 8))
    assert ends(f"rate_weight=[0],[{weights}]", monkeypatch=monkeypatch) == ["-rate_weight=[0]", "-1"]


def test_the_folder_of_a_job_can_be_given_to_hydra_as_it_is() -> None:
    name = in_path("größe-seed=1-a=[0.5,-1]-b={c:d}-data=/e f/g(h)'\"~&;#!<>`^")
    assert not re.search(r"[/=,\[\]{}()'\"~&;#!<>`^]", name)
    assert "0.5" in name
    OverridesParser.create().parse_override(f"resume={name.replace('größe', '')}")
