"""The report: what it reads, and its page in a real browser."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rnncodec.cli import app
from rnncodec.errors import DataError
from rnncodec.evaluation.report.page import compared, of_several_sets, render, report_curves, worst_in_words
from rnncodec.evaluation.report.viewer import JpegFiles, choose, compare_size, middle, ranked, share, view
from rnncodec.evaluation.results import ABOUT, read_evaluation
from rnncodec.evaluation.settings import settings
from rnncodec.evaluation.sources import known_differences, read_sources
from rnncodec.network.codec import IterativeCodec
from rnncodec.pictures.pixels import Pixels, amplified_residual
from rnncodec.weights.weights_file import load_model
from tests.evaluation.test_curves import make_point


def test_sources_are_runs_results_and_curves(result: Path, run_folder: Path) -> None:
    sources = read_sources([result, run_folder, result / "jpeg.json"])
    assert [source.name for source in sources] == ["tiny (1)", "tiny (2)", "jpeg"]
    assert sources[1].options["model.width"] == "0.03"
    assert "name" not in sources[1].options
    options = [source.options for source in sources[:2]]
    assert known_differences(options) == {}  # an evaluation does not record the loss of its run
    assert known_differences([*options, options[1] | {"model.width": "0.25"}]) == {
        "model.width": ["0.03", "0.03", "0.25"]
    }
    assert read_sources([run_folder / "evaluations" / "two"])[0].training == sources[1].training


def test_evaluations_of_one_network_are_named_by_what_differs(result: Path, tmp_path: Path) -> None:
    about = json.loads((result / ABOUT).read_text())
    folders = []
    for dataset, effort in (("two", 0), ("two", 3), ("kodak", 3), ("kodak", 3)):
        folders.append(Path(shutil.copytree(result, tmp_path / str(len(folders)))))
        (folders[-1] / ABOUT).write_text(json.dumps(about | {"dataset": dataset, "effort": effort}))
    assert [source.name for source in read_sources(folders[:2])] == ["tiny (effort 0)", "tiny (effort 3)"]
    assert [source.name for source in read_sources(folders[1:3])] == ["tiny (two)", "tiny (kodak)"]
    assert [source.name for source in read_sources(folders)][1:] == [
        "tiny (two, effort 3)", "tiny (kodak, effort 3) (1)", "tiny (kodak, effort 3) (2)"
    ]  # fmt: skip


def test_the_time_that_training_took_is_no_option(result: Path, tmp_path: Path) -> None:
    quick, slow = (Path(shutil.copytree(result, tmp_path / name)) for name in ("quick", "slow"))
    about = json.loads((slow / ABOUT).read_text())
    for folder, seconds in ((quick, 10), (slow, 20)):
        about["training"] = {"steps": 30, "seconds": seconds}
        (folder / ABOUT).write_text(json.dumps(about))
    assert known_differences([source.options for source in read_sources([quick, slow])]) == {}


def test_sources_with_nothing_to_report_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to show"):
        read_sources([tmp_path])
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match="neither a run, nor"):
        read_sources([tmp_path])
    (tmp_path / "config.yaml").write_text("iterations: 3\n")
    with pytest.raises(DataError, match="nothing to show"):
        read_sources([tmp_path])


def test_sweep_is_its_runs_in_order_and_a_refused_job_is_left_out(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for job in ("0-gru", "2-lstm", "10-gru"):
        shutil.copytree(run_folder, tmp_path / "sweep" / job, ignore=shutil.ignore_patterns("evaluations"))
    (tmp_path / "sweep" / "multirun.yaml").write_text("")
    refused = tmp_path / "sweep" / "1-refused"
    refused.mkdir()
    (refused / "failure.txt").write_text("seed must be a whole number\n")
    sources = read_sources([tmp_path / "sweep"])
    assert [source.name for source in sources] == ["0-gru", "2-lstm", "10-gru"]
    assert [source.name for source in read_sources([refused, tmp_path / "sweep" / "0-gru"])] == ["0-gru"]
    assert "1-refused is left out" in capsys.readouterr().err.replace("\n", "")


def test_seeds_are_one_curve_and_options_are_in_the_legend(run_folder: Path, tmp_path: Path) -> None:
    for number, (cell, seed) in enumerate([("gru", 0), ("gru", 1), ("lstm", 0)]):
        run = Path(shutil.copytree(run_folder, tmp_path / "sweep" / f"{number}-{cell}"))
        with (run / "config.yaml").open("a") as file:
            file.write(f"seed: {seed}\ncell: {cell}\n")
    history = tmp_path / "sweep" / "1-gru" / "history.csv"
    history.write_text("step,train/loss\n0,0.3\n")
    first, second = settings(read_sources([tmp_path / "sweep"]))
    assert (first.name, second.options) == ("cell=gru, mean of 2 seeds", "cell=lstm")
    (alone,) = settings(first.sources)
    assert alone.name == f"mean of {first.sources[0].name} and 1 more seed"
    assert first.training == {"train/loss": {0: 0.4}}
    assert first.curve is not None
    assert second.curve is not None
    assert first.curve.points("psnr-rgb") == second.curve.points("psnr-rgb")
    assert next(curve.name for _, curve, _ in report_curves(first.sources + second.sources)) == first.name


def test_results_of_another_effort_or_of_older_weights_are_no_seeds_of_a_setting(
    run_folder: Path, tmp_path: Path
) -> None:
    for seed in (0, 1):
        run = Path(shutil.copytree(run_folder, tmp_path / f"{seed}-gru"))
        with (run / "config.yaml").open("a") as file:
            file.write(f"seed: {seed}\n")
    first, second = (read_sources([tmp_path / f"{seed}-gru"])[0] for seed in (0, 1))
    assert len(settings([first, second])) == 1
    assert second.evaluation is not None
    deeper = replace(second.evaluation, about=replace(second.evaluation.about, effort=3))
    assert len(settings([first, replace(second, evaluation=deeper)])) == 2
    assert len(settings([first, replace(second, older=True)])) == 2
    longer = {**second.options, "training.steps": "999"}
    assert len(settings([first, replace(second, options=longer)])) == 2


def test_options_that_came_later_are_compared(run_folder: Path, tmp_path: Path) -> None:
    old, new = (Path(shutil.copytree(run_folder, tmp_path / name)) for name in ("old", "new"))
    with (new / "config.yaml").open("a") as file:
        file.write("data: {smooth: 0.1}\noptimizer: {fused: true}\n")
    found = known_differences([source.options for source in read_sources([old, new])])
    assert found["data.smooth"] == ["0.0", "0.1"]
    assert found["optimizer.fused"] == ["False", "True"]


def test_bd_rates_are_against_the_measured_baseline_and_not_a_published_curve_of_its_name(
    result: Path, tmp_path: Path
) -> None:
    measured = read_evaluation(result)
    (tmp_path / "jpeg.json").write_text((result / f"{measured.about.name}.json").read_text())
    curves = report_curves(read_sources([tmp_path / "jpeg.json", result]))
    own = next(curve for curve in measured.curves if curve.name == "jpeg")
    assert [curve.kind for curve in curves[:2]] == ["published", "codec"]
    for _, _, baseline in curves:
        assert baseline is not None
        assert baseline.points("psnr-rgb") == own.points("psnr-rgb")


def test_each_evaluation_is_compared_to_the_baseline_of_its_own_photos(result: Path) -> None:
    (source,) = read_sources([result])
    assert source.evaluation is not None
    curves = [
        replace(curve, results={**curve.results, "bpp": [3 * rate for rate in curve.results["bpp"]]})
        for curve in source.evaluation.curves
    ]
    images = {name: f"{content}, others" for name, content in source.evaluation.about.images.items()}
    about = replace(source.evaluation.about, name="other", images=images)
    curves[0] = replace(curves[0], name="other")
    other = replace(source, name="other", evaluation=replace(source.evaluation, about=about, curves=curves))
    summaries, against = compared(report_curves([source, other]))
    assert against == "jpeg"
    assert of_several_sets([source, other])
    assert not of_several_sets([source, source])
    jpegs = {each.name: each.bd_psnr for each in summaries if each.name.startswith("jpeg")}
    assert [bd.percent for bd in jpegs.values() if bd] == pytest.approx([0, 0])  # though one takes three times the bits
    assert list(jpegs) == ["jpeg", "jpeg (other)"]


def test_no_option_is_listed_twice_or_without_its_value(run_folder: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    with (run / "config.yaml").open("a") as file:
        file.write("seed: 0\ndata: {seed: '${seed}'}\nreconstruction: {name: one_shot}\n")
    (source,) = read_sources([run])
    named = [option for option in source.options if "reconstruction" in option]
    assert named == ["reconstruction.name"]
    assert not any("${" in value for value in source.options.values())


def test_jpeg_of_the_same_quality_is_the_first_that_reaches_it(photos: list[Pixels]) -> None:
    jpegs = JpegFiles(photos[0])
    assert jpegs.of_quality(jpegs.at(40).likeness).quality == 40
    assert jpegs.of_quality(jpegs.at(40).likeness + 1e-6).quality == 41
    assert jpegs.of_quality(1.0) is None
    assert jpegs.of_size(len(jpegs.at(30).content)).content == jpegs.at(30).content
    assert jpegs.of_size(0).quality == 1


def test_sizes_in_words(photos: list[Pixels]) -> None:
    assert share(24, 33) == "27 % smaller"
    assert share(33, 24) == "38 % larger"
    assert share(1000, 1001) == "the same size"
    jpeg = JpegFiles(photos[0]).at(50)
    caption = compare_size(len(jpeg.content) // 2, 0.9, jpeg, "MS-SSIM {:.4f}")
    assert caption.endswith(f"against {len(jpeg.content) / 1000:.1f} KB of JPEG: 50 % smaller.")
    assert compare_size(100, 0.99, None, "MS-SSIM {:.4f}") == "No JPEG reaches MS-SSIM 0.9900."


def test_residual_is_amplified_around_grey() -> None:
    pixels = np.full((1, 3, 3), 100, np.uint8)
    shown = np.array([[[100] * 3, [90] * 3, [200] * 3]], np.uint8)
    assert amplified_residual(pixels, shown)[0, :, 0].tolist() == [128, 168, 0]


def test_large_photos_are_cropped_to_their_middle() -> None:
    pixels = np.zeros((1000, 500, 3), np.uint8)
    pixels[116] = 1
    assert middle(pixels).shape == (768, 500, 3)
    assert middle(pixels)[0].all()


def test_the_worst_photos_at_a_rate_are_among_those_shown(result: Path) -> None:
    evaluation = read_evaluation(result)
    qualities = {"a.png": 0.7, "b.png": 0.9, "c.png": 0.6, "d.png": 0.8, "e.png": 0.95}  # at 0.25 bpp
    measured = {
        ("tiny", name): [make_point(1, 0.125, quality - 0.1), make_point(2, 0.5, quality + 0.2)]
        for name, quality in qualities.items()
    }
    about = replace(evaluation.about, images={name: name for name in qualities})
    evaluation = replace(evaluation, about=about, measurements=measured)
    assert {path.name: pytest.approx(quality) for path, quality in ranked(evaluation).items()} == qualities
    assert [path.stem for path in choose(evaluation, 4)] == ["b", "c", "a", "d"]
    assert [path.stem for path in choose(evaluation, 2)] == ["c", "a"]
    assert worst_in_words(evaluation).startswith("worst at 0.25 bpp, by MS-SSIM: c (0.6000), a (0.7000), d (0.8000); ")


def test_a_report_does_not_import_the_packages_that_a_run_names(
    result: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    config = {**vars(load_model(tiny_weights).config), "decoder_cell": {"_target_": "wave.Cell"}}
    with safe_open(tiny_weights, framework="pt") as file:
        metadata = file.metadata() | {"config": json.dumps(config)}
    save_file(load_file(tiny_weights), tmp_path / "weights.safetensors", metadata)
    (tmp_path / "config.yaml").write_text("decoder_cell:\n  _target_: wave.Cell\n")
    evaluation = read_evaluation(result)
    views, complaint = view(replace(evaluation, about=replace(evaluation.about, model=str(tmp_path))), [])
    assert views == []
    assert "set RNNCODEC_PACKAGES=wave" in str(complaint)
    assert "wave" not in sys.modules


def test_page_without_the_photos_says_so(result: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(result, tmp_path / "moved"))
    about = json.loads((folder / "evaluation.json").read_text())
    about["images"] = {f"/nowhere/{Path(path).name}": photo for path, photo in about["images"].items()}
    (folder / "evaluation.json").write_text(json.dumps(about))
    page = render(read_sources([folder]), photos=1)
    assert "Photos cannot be shown." in page
    assert 'id="stage"' not in page


def test_command_writes_page_and_plots_and_keeps_what_exists(result: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    options = [str(result), "-o", str(tmp_path / "report.html"), "--photos", "0", "--plots", str(tmp_path / "plots")]
    done = CliRunner().invoke(app, ["report", *options])
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert {"ms-ssim-rgb.png", "ms-ssim-rgb.svg", "ssimulacra2.svg"} <= set(names)
    assert Image.open(tmp_path / "plots" / names[0]).size == (1400, 1000)
    again = CliRunner().invoke(app, ["report", *options])
    assert again.exit_code != 0


class Report:
    """A page of the report in Chromium, with what it complained of and what it asked the network for."""

    def __init__(self, browser: Any, page: Path) -> None:
        self.browser = browser
        self.address = page.as_uri()
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def open(self, width: int, height: int):
        page = self.browser.new_page(viewport={"width": width, "height": height})
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(self.address)
        return page


@pytest.fixture(scope="module")
def report(chromium_browser: Any, result: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(read_sources([run_folder, result]), photos=2))
    return Report(chromium_browser, path)


def asked_for(report: Report) -> list[str]:
    return [url for url in report.requests if not url.startswith("data:") and url != report.address]


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_slider_split_and_plots_in_a_browser(
    report: Report, tiny_codec: IterativeCodec, width: int, height: int
) -> None:
    page = report.open(width, height)
    assert page.evaluate("document.documentElement.scrollWidth") == width  # nothing sticks out

    slider = page.locator("#iteration")
    slider.fill("1")
    first = page.locator("#caption").inner_text(), page.locator("#left").get_attribute("src")
    slider.press("ArrowRight")
    second = page.locator("#caption").inner_text(), page.locator("#left").get_attribute("src")
    sizes = [float(re.search(r"([\d.]+) KB", caption).group(1)) for caption, _ in (first, second)]
    assert sizes[0] < sizes[1]
    assert first[1] != second[1]
    assert "P[2]" in page.locator("#left").get_attribute("alt")

    page.select_option("#against", "same_quality")
    assert re.fullmatch(r"[\d.]+ KB against [\d.]+ KB of JPEG: .*\.", page.locator("#compared").inner_text())

    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#stage").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, middle, steps=4)
    page.mouse.up()
    assert page.locator("#handle").get_attribute("aria-valuenow") == "25"
    assert "25%" in page.locator("#right").get_attribute("style")
    page.locator("#handle").press("ArrowRight")
    assert page.locator("#handle").get_attribute("aria-valuenow") == "27"

    for mode, name in (("residual", "R[2]"), ("original", "original"), ("picture", "P[2]")):
        page.check(f"input[value={mode}]")
        assert page.locator("#left-tag").inner_text() == name
        assert page.locator("#right").is_hidden()
    page.wait_for_function("document.getElementById('zoom-rnncodec').getContext('2d').getImageData(9, 9, 1, 1).data[3]")

    named = page.locator("#photo option").nth(1).inner_text().partition(",")[0]
    page.select_option("#photo", "1")
    assert page.locator("#left").get_attribute("alt").startswith(named)
    assert named in page.get_by_text("worst at 0.25 bpp").first.inner_text()

    assert page.locator("#curves-plot polyline").count() == 3
    page.locator("#curves-legend input").first.uncheck()
    assert page.locator("#curves-plot polyline").count() == 2
    page.select_option("#metric", "psnr-hvs-y")
    assert "PSNR-HVS" in page.locator("#curves-plot svg").get_attribute("aria-label")
    page.select_option("#abscissa", "decoding_kmac")  # of networks alone
    assert page.locator("#curves-plot polyline").count() == 1
    assert "kMAC" in page.locator("#curves-plot svg").get_attribute("aria-label")
    page.select_option("#abscissa", "bpp")
    assert page.locator("#training-plot polyline").count() == 1
    page.select_option("#elapsed", "train/seconds")
    assert "seconds of training" in page.locator("#training-plot svg").get_attribute("aria-label")
    assert page.locator("#training-plot polyline").count() == 1

    page.check("input[value=split]")
    other = page.locator("#others option").first
    page.select_option("#against", other.get_attribute("value"))  # another run of the same photo
    assert page.locator("#right-tag").inner_text() == other.inner_text()
    assert other.inner_text() in page.locator("#compared").inner_text()
    parameters = sum(each.numel() for each in tiny_codec.parameters())
    assert f"{parameters / 1e6:.2f} M" in page.locator("#summary-title ~ .scroll").first.inner_text()

    unnamed = page.locator("img:visible:not([alt]), img[alt='']:visible").count()
    assert unnamed == 0
    assert report.complaints == []
    assert asked_for(report) == []
    page.close()
    page.close()
