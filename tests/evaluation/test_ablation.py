"""The page of ablations, from folders such as multiruns leave."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bjontegaard
import pytest
import yaml
from typer.testing import CliRunner

from rnncodec.cli import app
from rnncodec.errors import DataError
from rnncodec.evaluation.ablation.page import ablations, insert
from rnncodec.evaluation.ablation.runs import read_sweep
from rnncodec.evaluation.ablation.tables import Comparison, settings
from rnncodec.evaluation.measure import Point
from rnncodec.evaluation.results import About, complete, write_evaluation
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.config import CodecConfig
from rnncodec.network.cost import cost
from tests.defaults import codec_config

ITERATIONS, STEPS = 4, 200
RAW = 64 / 256  # bits a pixel of an iteration
WIDTHS = {"residual_gru": 0.06, "lstm": 0.09}
RATES = [0.2, 0.4, 0.6, 0.8]  # of the real files
SIMILARITIES = [0.86, 0.93, 0.96, 0.985]
NOISE = [22.0, 25.0, 27.0, 29.0]
WITHOUT_FILES = [0.8, 0.9, 0.95, 0.98]  # MS-SSIM of the last validation


def network(cell: str) -> CodecConfig:
    """The shape of the network of a run with this cell."""
    return codec_config(bits=64, encoder_cell=cell, decoder_cell=cell, width=WIDTHS[cell])


def points(factor: float) -> list[Point]:
    """Real files that take ``factor`` times RATES."""
    measured = enumerate(zip(RATES, SIMILARITIES, NOISE, strict=True), start=1)
    return [Point(t, 100, factor * r, psnr, ms_ssim, 30.0, None, 1.0, 1.0) for t, (r, ms_ssim, psnr) in measured]


def write_run(folder: Path, name: str, factor: float, seconds: float, finished: bool = True, **changes: Any) -> None:
    """A run whose files take ``factor`` times RATES. It had validations after half and after all of its CPU
    ``seconds``."""
    folder.mkdir(parents=True)
    config = network(changes.pop("cell", "residual_gru"))
    model = {key: value for key, value in asdict(config).items() if key != "reconstruction"}
    saved = {
        "name": name, "group": "cells", "seed": 0, "iterations": ITERATIONS, "data": {"seed": "${seed}"},
        "trainer": {"max_steps": STEPS}, "widths": WIDTHS,
        "model": model | {"width": "${widths.${model.encoder_cell}}"}, "reconstruction": {"name": "additive"},
        "choices": {"model": config.encoder_cell},
    } | changes  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(saved))
    names = [f"t{t:02d}" for t in range(1, ITERATIONS + 1)]
    columns = ["step", "train/loss", "val/loss", "train/seconds", "train/cpu_seconds"]
    columns += [f"val/{metric}_{each}" for metric in ("ms_ssim", "psnr", "bits") for each in names]
    lines = [",".join(columns), f"{STEPS // 2 - 1},0.5" + "," * (len(columns) - 2)]
    for part, lost in ((0.5, 0.1), (1.0, 0.0))[: 2 if finished else 1]:
        qualities = [*(value - lost for value in WITHOUT_FILES), *NOISE]
        cells = [int(part * STEPS) - 1, "", 0.4, 9e9, part * seconds, *qualities, *([factor] * ITERATIONS)]
        lines.append(",".join(map(str, cells)))
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    if not finished:
        return
    (folder / "result.json").write_text(json.dumps({"steps": STEPS, "pruned": False, "metrics": {}}))
    for dataset in ("validation", "kodak"):
        images = {f"{dataset}.png": (dataset[0] * 64)}
        about = About(
            folder.name, "", "00000000", json.loads(json.dumps(asdict(config))), {"steps": STEPS}, ITERATIONS, images,
            dataset, ["jpeg"], "jpeg",
        )  # fmt: skip
        measured = {(codec, photo): points(factor) for codec in (folder.name, "jpeg") for photo in images.values()}
        (folder / "evaluations" / dataset).mkdir(parents=True)
        write_evaluation(complete(about, measured, []), folder / "evaluations" / dataset)


def write_multirun(folder: Path, task: list[str], params: dict[str, str] | None = None) -> None:
    overrides = {"hydra": ["hydra.mode=MULTIRUN", "hydra.sweep.dir=/somewhere"], "task": task}
    sweeper = {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper", "params": params}
    (folder / "multirun.yaml").write_text(yaml.safe_dump({"hydra": {"overrides": overrides, "sweeper": sweeper}}))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two cells, the first with two seeds. The second is wider, takes 10 % fewer bits and twice the time."""
    folder = tmp_path / "sweep"
    write_run(folder / "0-gru", "gru-0", 1.0, 100)
    write_run(folder / "10-lstm", "lstm-0", 0.9, 200, cell="lstm")
    write_run(folder / "2-gru", "gru-1", 1.1, 110, seed=1)
    write_multirun(folder, ["cell=gru,lstm", "model.bits=[6 4]"])
    return folder


def rows(text: str) -> list[list[str]]:
    """The cells of the first Markdown table in ``text``, without the rule below the headings."""
    lines = text[text.index("|") :].split("\n\n")[0].splitlines()
    found = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines if line.startswith("|")]
    return [found[0], *found[2:]]


RATES_AT = ["bpp at 0.90", "bpp at 0.95", "bpp at 0.98"]
RESULTS = [*RATES_AT, "BD-rate, MS-SSIM (%)", "BD-rate, PSNR (%)", "last MS-SSIM", "last PSNR (dB)"]
COSTS = ["kMAC a pixel and iteration", "parameters (M)", "CPU seconds"]


def bd_rate(factor: float, qualities: list[float]) -> str:
    """That of files that take ``factor`` times RATES, against the mean of the two seeds of `sweep`."""
    own, mean = ([scale * rate for rate in RATES] for scale in (factor, 1.05))
    return f"{bjontegaard.bd_rate(mean, qualities, own, qualities, method='akima'):+.1f}"


def test_real_files_are_compared_at_equal_steps(sweep: Path) -> None:
    text = ablations([sweep]).texts["cells"]
    assert "    python train.py -m cell=gru,lstm 'model.bits=[6 4]'\n" in text
    assert "Partial" not in text
    kodak = text.split("Real files of 1 photos (kodak-")[1].split("\n\n")
    assert "after 200 steps. BD-rates are against gru-0 (2 seeds)." in kodak[0]
    headings, gru, lstm = rows(kodak[1])
    assert headings == ["model", "seeds", *RESULTS, *COSTS]  # the widths follow from the cells
    at_90 = RATES[0] + (RATES[1] - RATES[0]) * (0.90 - 0.86) / (0.93 - 0.86)
    columns = dict(zip(headings, gru, strict=True))
    assert columns["model"] == "residual_gru"
    assert columns["seeds"] == "2"
    assert columns["bpp at 0.90"] == f"{1.05 * at_90:.3f} ± {0.05 * at_90:.3f}"
    low, high = (float(bd_rate(factor, SIMILARITIES)) for factor in (1.0, 1.1))
    assert columns["BD-rate, MS-SSIM (%)"] == f"{(low + high) / 2:+.1f} ± {(high - low) / 2:.1f}"
    assert columns["CPU seconds"] == "105 ± 5"
    counted = cost(network("residual_gru"))
    assert columns["kMAC a pixel and iteration"] == f"{counted.encoder + counted.decoder:.1f}"
    parameters = sum(weight.numel() for weight in IterativeCodec(network("residual_gru")).parameters())
    assert columns["parameters (M)"] == f"{parameters / 1e6:.2f}"
    columns = dict(zip(headings, lstm, strict=True))
    assert columns["model"] == "lstm"
    assert columns["bpp at 0.90"] == f"{0.9 * at_90:.3f}"
    assert columns["BD-rate, MS-SSIM (%)"] == bd_rate(0.9, SIMILARITIES)
    assert columns["BD-rate, PSNR (%)"] == bd_rate(0.9, NOISE)
    assert columns["last MS-SSIM"] == f"{SIMILARITIES[-1]:.4f}"
    assert columns["last PSNR (dB)"] == f"{NOISE[-1]:.2f}"
    assert columns["CPU seconds"] == "200"
    assert "Real files of 1 photos (validation-" in text


def test_validations_are_compared_at_equal_cpu_seconds(sweep: Path) -> None:
    text = ablations([sweep]).texts["cells"].split("In training, after 100 CPU seconds")[1]
    headings, gru, lstm = rows(text)
    assert headings[2:] == [*RESULTS, "steps"]
    # 100 s are the end of the first run, and 45 of the 55 s between the two validations of its other seed, whose
    # context model says that a bit costs 1.1 bits
    lost = 0.1 * (1 - 45 / 55)
    rates = [2 * RAW, 1.1 * RAW * (2 + lost / (0.95 - 0.90))]
    assert gru[headings.index("seeds")] == "2"
    assert gru[headings.index(RATES_AT[0])] == f"{sum(rates) / 2:.3f} ± {(rates[1] - rates[0]) / 2:.3f}"
    assert lstm[headings.index("seeds")] == "1"
    assert gru[-1] == "191 ± 9"
    assert lstm[2:5] == ["–"] * 3  # its first validation, where MS-SSIM ends at 0.88


def test_cpu_seconds_of_steps_measured_in_turns_replace_those_of_training(sweep: Path, tmp_path: Path) -> None:
    taken = tmp_path / "step_seconds.json"
    taken.write_text(json.dumps({"sweep/0-gru": 0.5, "sweep/10-lstm": 0.4}))
    page = tmp_path / "page.md"
    asked = ["ablation", str(sweep), "-o", str(page), "--step-seconds", str(taken)]
    assert CliRunner().invoke(app, asked).exit_code == 0
    text = page.read_text()
    headings, gru, lstm = rows(text)
    assert gru[headings.index("CPU seconds")] == f"{STEPS * 0.5:.0f}"
    assert lstm[headings.index("CPU seconds")] == f"{STEPS * 0.4:.0f}"
    headings, gru, lstm = rows(text.split("In training, after 80 CPU seconds")[1])
    assert (gru[-1], lstm[-1]) == ("160", "200")
    before = page.read_bytes()
    for content, error in (
        ('{"sweep/0-gru": 1.0}', "lacks sweep/10-lstm:"),
        ('{"a": "b"}', "must map runs to seconds"),
    ):
        taken.write_text(content)
        done = CliRunner().invoke(app, asked)
        assert isinstance(done.exception, DataError)
        assert error in str(done.exception)
        assert page.read_bytes() == before


def test_networks_that_are_not_equally_large_are_named(sweep: Path) -> None:
    first, second = (cost(network(cell)) for cell in WIDTHS)
    counts = [each.coding(ITERATIONS) for each in (first, second)]
    text = ablations([sweep]).texts["cells"]
    assert f"{min(counts):.0f} to {max(counts):.0f} kMAC a pixel" in text
    assert "**not equal operations**" in text
    (sweep / "10-lstm" / "result.json").unlink()
    assert f"All iterations together take {counts[0]:.0f} kMAC a pixel." in ablations([sweep]).texts["cells"]


def test_a_study_that_is_not_finished_names_what_is_left_out(sweep: Path) -> None:
    write_run(sweep / "3-lstm", "lstm-1", 0.9, 200, finished=False, cell="lstm", seed=1)
    write_multirun(sweep, ["seed=0,1,2"], {"cell": "gru,lstm,minimal_gru", "seed": "7"})
    text = ablations([sweep], against="lstm-1").texts["cells"]
    assert "**Partial: 3 of 9 runs are finished.** Left out: lstm-1 (step 100 of 200), 5 that have not begun." in text
    assert "There are no BD-rates yet: lstm-1" in text
    headings, *settings = rows(text)
    assert {row[headings.index("BD-rate, PSNR (%)")] for row in settings} == {"–"}
    for job in sweep.glob("*/result.json"):
        job.unlink()
    page = ablations([sweep])
    assert "0 of 9 runs are finished" in page.texts["cells"]
    assert "|" not in page.texts["cells"]
    assert not page.figures


def test_files_of_earlier_weights_and_unfinished_evaluations_do_not_count(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / "10-lstm" / "result.json").write_text(json.dumps({"steps": 300, "pruned": False, "metrics": {}}))
    (sweep / "0-gru" / "evaluations" / "kodak" / "per_image.csv").unlink()
    text = ablations([sweep]).texts["cells"]
    headings, gru, lstm = rows(text.split("(kodak-")[1])
    assert gru[headings.index("seeds")] == "1"
    assert lstm[headings.index("bpp at 0.90")] == "–"
    assert "not finished" in capsys.readouterr().err.replace("\n", " ")


def test_runs_of_one_group_from_several_sweeps_share_a_table(sweep: Path, tmp_path: Path) -> None:
    logged = {"logger": {"_target_": "wandb", "project": "x"}}  # in another place, which is no other method
    write_run(tmp_path / "more" / "0-lstm", "lstm-1", 0.8, 220, cell="lstm", seed=1, **logged)
    write_multirun(tmp_path / "more", ["cell=lstm", "seed=1"])
    text = ablations([sweep, tmp_path / "more"]).texts["cells"]
    assert "python train.py -m cell=lstm seed=1\n" in text
    headings, _, lstm = rows(text)
    assert lstm[headings.index("seeds")] == "2"
    assert lstm[headings.index("CPU seconds")] == "210 ± 10"


def test_seeds_of_the_photos_alone_are_seeds(sweep: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        write_run(tmp_path / "more" / f"{number}-lstm", f"lstm-{number}", 0.8, 220, cell="lstm", data={"seed": number})
    write_multirun(tmp_path / "more", ["cell=lstm", "data.seed=1,2"])
    headings, _, lstm = rows(ablations([sweep, tmp_path / "more"]).texts["cells"])
    assert lstm[headings.index("seeds")] == "3"


def test_an_option_that_earlier_versions_had_not_got_does_not_set_their_runs_apart(sweep: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "new" / "0-lstm", "lstm-1", 0.8, 220, cell="lstm", seed=1, rate_slope=0.0)
    write_run(tmp_path / "new" / "1-lstm", "lstm-2", 0.8, 220, cell="lstm", seed=2, rate_slope=0.01)
    write_multirun(tmp_path / "new", ["cell=lstm", "seed=1"])
    headings, *found = rows(ablations([sweep, tmp_path / "new"]).texts["cells"])
    at, seeds = headings.index("rate_slope"), headings.index("seeds")
    assert [(row[at], row[seeds]) for row in found] == [("0.0", "2"), ("0.0", "2"), ("0.01", "1")]


def test_runs_that_no_sweep_names_are_the_group_sweep(sweep: Path) -> None:
    for path in sweep.glob("*/config.yaml"):
        path.write_text(path.read_text().replace("group: cells", "group: null"))
    assert set(ablations([sweep]).texts) == {"sweep"}


def test_the_base_is_a_row_of_the_other_groups_and_chosen_files_stand_for_their_options(
    sweep: Path, tmp_path: Path
) -> None:
    losses = {"l1": {"_target_": "rnncodec.distortion.losses.L1"}, "mix": {"_target_": "my.Mix", "share": 0.5}}
    for job, (loss, options) in enumerate(losses.items()):
        changed = {"group": "losses", "loss": options, "choices": {"model": "residual_gru", "loss": loss}}
        write_run(tmp_path / "losses" / f"{job}-{loss}", loss, 0.9 + job / 10, 90, iterations=4 - job, **changed)
    write_multirun(tmp_path / "losses", ["loss=l1,mix"])
    for job in sweep.glob("*/config.yaml"):
        job.write_text(job.read_text() + "loss: {_target_: my.Loss}\n")
    text = ablations([sweep, tmp_path / "losses"], bases=["gru-1"], against="lstm-0").texts["losses"]
    assert "BD-rates are against lstm-0." in text
    headings, *settings = rows(text)
    assert headings[:3] == ["loss", "iterations", "seeds"]
    assert [row[:3] for row in settings] == [["–", "4", "2"], ["l1", "4", "1"], ["mix", "3", "0"]]


def test_each_group_has_the_row_of_the_nearest_base_before_its_own(sweep: Path, tmp_path: Path) -> None:
    for group, options in {"precision": {"precision": 16}, "width": {"precision": 16, "width": 2}}.items():
        write_run(tmp_path / group / "0-run", f"{group}-0", 0.9, 90, group=group, **options)
        write_multirun(tmp_path / group, [])
    sweeps = [sweep, tmp_path / "precision", tmp_path / "width"]
    texts = ablations(sweeps, bases=["gru-0", "precision-0"]).texts
    assert {group: [row[0] for row in rows(text)] for group, text in texts.items()} == {
        "cells": ["model", "residual_gru", "lstm"],
        "precision": ["precision", "–", "16"],
        "width": ["width", "–", "2"],
    }


def test_curves_are_labelled_by_as_few_options_as_tell_them_apart(sweep: Path) -> None:
    def labels() -> list[str]:
        return Comparison(settings(read_sweep(sweep).finished), None).labels

    write_run(sweep / "3-wide", "wide", 1.0, 100, cell="lstm", iterations=3, trainer={"max_steps": 300})
    (sweep / "10-lstm").rename(sweep / "narrow")  # no folder of a job
    assert labels() == ["residual_gru", "lstm"]
    (sweep / "narrow").rename(sweep / "10-lstm")
    assert labels() == ["residual_gru, 4", "lstm, 3", "lstm, 4"]


def test_names_of_no_run_and_of_several_settings_are_refused(sweep: Path) -> None:
    with pytest.raises(DataError, match="no run is named other; there are gru-0, gru-1, lstm-0"):
        ablations([sweep], against="other")
    write_run(sweep / "4-lstm", "gru-0", 0.9, 200, cell="lstm", seed=5)
    with pytest.raises(DataError, match="2 different runs are named gru-0"):
        ablations([sweep], bases=["gru-0"])


def test_the_command_keeps_prose_and_writes_the_same_bytes_again(sweep: Path, tmp_path: Path) -> None:
    document = tmp_path / "docs" / "page.md"
    document.parent.mkdir()
    document.write_text(
        "# Page\n\n## Cells\n\nby hand\n\n<!-- rnncodec ablation: cells -->\nold\n<!-- end -->\n\nthe end\n"
    )
    assert CliRunner().invoke(app, ["ablation", str(sweep), "-o", str(document)]).exit_code == 0
    text = document.read_text()
    assert text.startswith("# Page\n\n## Cells\n\nby hand\n\n<!-- rnncodec ablation: cells -->\n\n    python train.py")
    assert text.endswith("<!-- end -->\n\nthe end\n")
    assert "(figures/ablation-cells.svg)" in text
    figure = document.parent / "figures" / "ablation-cells.svg"
    before = figure.read_bytes()
    assert before.count(b'id="line2d_') > 0
    assert CliRunner().invoke(app, ["ablation", str(sweep), "-o", str(document)]).exit_code == 0
    assert document.read_text() == text
    assert figure.read_bytes() == before


def test_document_keeps_the_text_around_the_tables() -> None:
    document = insert({"cells": "first\n"}, "# Ablations\n")
    document = document.replace("## cells\n", "## Cells\n\nby hand\n") + "\nthe end\n"
    again = insert({"cells": "second\n", "losses": "new\n"}, document)
    assert again.startswith("# Ablations\n\n## Cells\n\nby hand\n\n<!--")
    assert "second" in again
    assert "first" not in again
    assert again.index("the end") < again.index("## losses")
    assert insert({"cells": "second\n", "losses": "new\n"}, again) == again
    with pytest.raises(DataError, match="no '<!-- end -->'"):
        insert({"cells": ""}, document.replace("<!-- end -->", ""))


@pytest.mark.parametrize(
    ("name", "content"),
    [("result.json", "{"), ("config.yaml", "name: x\n"), ("config.yaml", "[1]"), ("history.csv", "step,a\nx,1\n")],
)
def test_files_that_are_not_those_of_a_run_are_named(sweep: Path, name: str, content: str) -> None:
    (sweep / "0-gru" / name).write_text(content)
    with pytest.raises(DataError, match="0-gru"):
        ablations([sweep])


def test_folders_that_are_no_sweeps_are_refused(sweep: Path) -> None:
    with pytest.raises(DataError, match=r"it has no multirun\.yaml"):
        ablations([sweep / "0-gru"])
    with pytest.raises(DataError, match="same options and the same seed"):
        ablations([sweep, sweep])
    (sweep.parent / "empty").mkdir()
    for content in ("{}", "hydra: {overrides: {hydra: [], task: ['a=[']}, sweeper: {_target_: x.BasicSweeper}}"):
        (sweep.parent / "empty" / "multirun.yaml").write_text(content)
        with pytest.raises(DataError, match="not that of a multirun"):
            ablations([sweep.parent / "empty"])
    write_multirun(sweep.parent / "empty", [])
    with pytest.raises(DataError, match=r"there is no run in .*empty"):
        ablations([sweep.parent / "empty"])
    both = ablations([sweep.parent / "empty", sweep])
    assert both.texts == ablations([sweep]).texts
