"""evaluate.py as a real process, and what it leaves behind."""

import copy
import json
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnncodec
from rnncodec.errors import RnncodecError
from rnncodec.evaluation import measurement
from rnncodec.evaluation.command import name_of
from rnncodec.evaluation.curves import Curve, read_curve
from rnncodec.evaluation.measure import measure
from rnncodec.evaluation.photo_set import content_hash
from rnncodec.evaluation.results import fall_in_words, read_evaluation, read_measurements, summary_text
from rnncodec.evaluation.sources import read_sources
from rnncodec.evaluation.summary import summarize
from rnncodec.evaluation.tracking import scalars
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec
from rnncodec.pictures.folders import find_images
from rnncodec.pictures.pixels import read_pixels
from rnncodec.weights.weights_file import save_model
from tests.commands import Command
from tests.defaults import evaluation_options
from tests.evaluation.dying import die
from tests.evaluation.logged import assert_evaluation_logged
from tests.training.wandb_file import records

ROOT = Path(__file__).parents[2]
TIMES = ("encoding_time", "decoding_time")

Evaluate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def images(photos_dir: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("photo-0.png", "photo-1.png"):
        shutil.copy(photos_dir / name, folder)
    return folder


@pytest.fixture
def evaluate(tmp_path: Path, tiny_weights: Path, images: Path) -> Evaluate:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}

    ours = {
        "HOME": str(tmp_path),
        "COLUMNS": "200",
        "PYTHONPATH": str(ROOT / "src"),
        "RNNCODEC_OUTPUTS": str(tmp_path / "out"),
    }
    common = [f"model={tiny_weights}", f"images={images}", "workers=1"]

    def start(
        *options: str, signal_when: Callable[[], bool] | None = None, number: int = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs evaluate.py. It and its workers receive the signal ``number`` when ``signal_when()``."""
        flags_first = sorted([*common, *options], key=lambda option: not option.startswith("-"))
        command = Command(ROOT / "evaluate.py", *flags_first, environment=kept | ours | environment, folder=tmp_path)
        while signal_when is not None and command.poll() is None:
            if signal_when():
                os.killpg(command.pid, number)
                break
            time.sleep(0.02)
        return command.wait()

    return start


def without_times(folder: Path) -> dict[tuple[str, str], list[tuple[float, ...]]]:
    return {
        key: [(p.setting, p.bytes, p.bpp, p.psnr, p.ms_ssim, p.psnr_hvs) for p in points]
        for key, points in read_measurements(folder).items()
    }


def test_numbers_are_those_of_real_files_and_of_two_workers_that_a_signal_ends(
    evaluate: Evaluate, tmp_path: Path, tiny_weights: Path, images: Path, photos_dir: Path
) -> None:
    done = evaluate("baselines=[jpeg]", f"folder={tmp_path / '1'}", "name=ours")
    assert done.returncode == 0, done.stderr
    assert "Mean of 2 images" in done.stdout
    wanted = without_times(tmp_path / "1")
    ours = {key for key in wanted if key[0] == "ours"}
    for name in ("photo-2.png", "photo-3.png"):  # work that is left at the signal
        shutil.copy(photos_dir / name, images)

    def some() -> bool:
        found = read_measurements(tmp_path / "2").keys()
        return ours < found and not found.isdisjoint(wanted.keys() - ours)

    options = ["baselines=[jpeg,webp]", "workers=2", f"folder={tmp_path / '2'}", "name=ours"]
    done = evaluate(*options, signal_when=some, number=signal.SIGINT)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "interrupted by SIGINT; what is measured is kept, and the same command goes on\n"
    found = without_times(tmp_path / "2")
    assert found.keys() >= ours
    assert len(found) < 12
    assert all(wanted[key] == points for key, points in found.items() if key in wanted)

    torch_codec = rnncodec.coding.torch_codec.load_torch_codec(str(tiny_weights))
    for name in ("photo-0.png", "photo-1.png"):
        pixels = read_pixels(images / name)
        content = torch_codec.compress(pixels, 3)
        points = read_measurements(tmp_path / "1")["ours", content_hash(images / name)]
        assert [point.bytes for point in points] == bitstream.read(content).ends
        assert [len(torch_codec.compress(pixels, t)) for t in (1, 2, 3)] == [point.bytes for point in points]
        again = measure(torch_codec, pixels, 3)
        assert [point.ms_ssim for point in again] == pytest.approx([point.ms_ssim for point in points], abs=1e-6)
        for field in TIMES:
            times = [getattr(point, field) for point in points]
            assert 0 < times[0] < times[1] < times[2]

    curve = read_curve(tmp_path / "1" / "ours.json")
    assert curve.results["setting"] == [1, 2, 3]
    summary = (tmp_path / "1" / "summary.md").read_text()
    assert "| ours |" in summary
    assert "BD-rate, MS-SSIM against jpeg" in summary


def test_finished_measurements_are_not_repeated(
    evaluate: Evaluate, tmp_path: Path, images: Path, photos_dir: Path
) -> None:
    folder = tmp_path / "out"
    assert evaluate("iterations=1", f"folder={folder}").returncode == 0
    before = read_measurements(folder)
    shutil.copy(photos_dir / "photo-2.png", images)
    assert evaluate("iterations=1", f"folder={folder}", "baselines=[jpeg]").returncode == 0
    after = read_measurements(folder)
    assert len(after) == 6
    assert all(after[key] == points for key, points in before.items())  # to the last digit of their times


def test_broken_images_are_left_out_and_small_ones_have_no_ms_ssim(
    evaluate: Evaluate, images: Path, tmp_path: Path
) -> None:
    (images / "broken.png").write_bytes((images / "photo-0.png").read_bytes()[:900])
    from PIL import Image

    Image.new("RGB", (300, 160)).save(images / "small.png")
    Image.new("RGB", (300, 4)).save(images / "line.png")
    (images / "notes.txt").write_text("a file of another kind")
    (images / "more").mkdir()
    done = evaluate("baselines=[jpeg]", f"folder={tmp_path / 'x'}", "workers=1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("broken.png") == 1
    assert f"left out 1 folder, such as {images / 'more'}" in done.stderr
    assert f"left out 1 .txt file, such as {images / 'notes.txt'}" in done.stderr
    assert "300×4 pixels; the measures need 8 a side" in done.stderr
    assert "2 of 5 images could not be measured" in done.stdout
    evaluation = read_evaluation(tmp_path / "x")
    assert set(evaluation.about.broken) == {"broken.png", "line.png"}
    assert "Mean of 3 images; bpp of whole files" in done.stdout
    assert "mean of 3 images" in evaluation.curves[0].description
    small = evaluation.points(str((images / "small.png").resolve()))
    assert small[0].ms_ssim is None
    assert small[0].psnr > 0
    large = [evaluation.points(str((images / name).resolve()))[0] for name in ("photo-0.png", "photo-1.png")]
    rate, similarity = evaluation.curves[0].points("ms-ssim-rgb")[0]
    assert rate == pytest.approx(np.mean([point.bpp for point in large]))
    assert similarity == pytest.approx(np.mean([point.ms_ssim for point in large]))
    assert evaluation.curves[0].points("psnr-rgb")[0][1] == pytest.approx(np.mean([p.psnr for p in [*large, small[0]]]))
    summary = (tmp_path / "x" / "summary.md").read_text()
    assert "1 of them are too small for MS-SSIM" in summary
    assert "| iteration | bpp | bpp of MS-SSIM | MS-SSIM |" in summary
    assert f"| {rate:.4f} | {similarity:.4f} |" in summary


def test_published_curves_join_the_table(evaluate: Evaluate, tmp_path: Path) -> None:
    (tmp_path / "anchors").mkdir()
    content = {"name": "x", "description": "", "results": {"bpp": [0.1, 1.0, 2.0], "ms-ssim-rgb": [0.5, 0.8, 0.99]}}
    (tmp_path / "anchors" / "published.json").write_text(json.dumps(content))
    done = evaluate(f"folder={tmp_path / 'x'}", f"anchors={tmp_path / 'anchors'}", "compare_to=published")
    assert done.returncode == 0, done.stderr
    evaluation = read_evaluation(tmp_path / "x")
    assert [curve.name for curve in evaluation.curves] == ["tiny", "published"]
    assert "| published† | – | – | 1.526 |" in (tmp_path / "x" / "summary.md").read_text()


def test_photos_of_the_same_name_in_another_folder_are_other_photos(
    evaluate: Evaluate, tmp_path: Path, photos_dir: Path
) -> None:
    for folder, photo in (("a", "photo-0.png"), ("b", "photo-1.png")):
        (tmp_path / folder / "valid").mkdir(parents=True)
        shutil.copy(photos_dir / photo, tmp_path / folder / "valid" / "x.png")
        assert evaluate(f"images={tmp_path / folder / 'valid'}").returncode == 0
    first, second = sorted((tmp_path / "out" / "evaluations").iterdir())
    found = {path: read_evaluation(path) for path in (first, second)}
    assert first.name.startswith("tiny-valid-")
    assert len({evaluation.curves[0].results["psnr-rgb"][0] for evaluation in found.values()}) == 2
    done = evaluate(f"images={tmp_path / 'b' / 'valid'}", f"folder={first}")  # by hand they meet, and are told apart
    assert done.returncode == 0, done.stderr
    other = next(evaluation for path, evaluation in found.items() if "b/valid" in next(iter(evaluation.about.images)))
    assert read_evaluation(first).curves[0].results["psnr-rgb"] == other.curves[0].results["psnr-rgb"]
    again = evaluate(f"images={tmp_path / 'b' / 'valid'}", f"folder={first}")
    taken = "1 of 1 measurements are from an earlier call"
    assert taken in again.stdout
    assert taken in (first / "summary.md").read_text()


def test_a_measurement_that_was_cut_off_is_repeated(tmp_path: Path, tiny_weights: Path, images: Path) -> None:
    options = evaluation_options(tiny_weights, find_images(images))
    measurement.evaluate(options, tmp_path / "x", lambda *_: None)
    whole = read_measurements(tmp_path / "x")
    table = tmp_path / "x" / "per_image.csv"
    table.write_text(table.read_text()[:-40])  # in the middle of the last line
    evaluation = measurement.evaluate(options, tmp_path / "x", lambda *_: None)
    assert evaluation.about.earlier == "1 of 2 measurements are from an earlier call"
    assert {key: [point.psnr for point in points] for key, points in evaluation.measurements.items()} == {
        key: [point.psnr for point in points] for key, points in whole.items()
    }


def test_a_process_that_is_killed_ends_in_one_message(
    tmp_path: Path, tiny_weights: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "perform", die)
    options = evaluation_options(tiny_weights, find_images(images), workers=2)
    with pytest.raises(RnncodecError, match="a process that measured images was killed"):
        measurement.evaluate(options, tmp_path / "x", lambda *_: None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baselines": ("gif",)}, "unknown baseline 'gif'"),
        ({"images": []}, "there are no images"),
        ({"images": [Path("a/x.png"), Path("b/x.png")]}, "several images have the same name: x.png"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"anchors": Path("nowhere")}, "no .json files in nowhere"),
        ({"name": "jpeg", "baselines": ("jpeg",)}, "choose another name"),
        ({"model": "nothing"}, "neither a weights file nor a released model"),
    ],
)
def test_wrong_options_are_found_before_anything_is_written(
    tmp_path: Path, tiny_weights: Path, images: Path, changes: dict[str, Any], message: str
) -> None:
    options = evaluation_options(tiny_weights, find_images(images))
    with pytest.raises(RnncodecError, match=message):
        measurement.evaluate(replace(options, **changes), tmp_path / "x", lambda *_: None)
    assert not (tmp_path / "x").exists()


def test_measurements_of_another_codec_are_not_mixed_in(tmp_path: Path, tiny_weights: Path, images: Path) -> None:
    options = evaluation_options(tiny_weights, find_images(images), iterations=1)
    measurement.evaluate(options, tmp_path / "x", lambda *_: None)
    with pytest.raises(RnncodecError, match="choose another folder"):
        measurement.evaluate(replace(options, iterations=2), tmp_path / "x", lambda *_: None)


def stopped_after(steps: int) -> dict[str, Any]:
    """What the weights of a run hold which was stopped then."""
    return {"iterations": 1, "steps": steps, "options": {"trainer": {"max_steps": 1000}}}


def test_results_of_a_run_that_has_gone_on_are_those_of_its_newest_weights(
    tmp_path: Path, tiny_codec: IterativeCodec, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("name: trained\n")
    (run / "history.csv").write_text("step,train/loss\n0,0.5\n")
    save_model(tiny_codec, run / "weights.safetensors", stopped_after(48), half=False)
    options = evaluation_options(run, find_images(images), baselines=("jpeg",))
    results = run / "evaluations" / "two"
    first = measurement.evaluate(options, results, lambda *_: None)
    assert [source.name for source in read_sources([run])] == ["tiny"]
    assert f"{run} is not finished: its newest weights are those after step 48 of 1000\n" in capsys.readouterr().err

    save_model(with_other_weights(tiny_codec), run / "weights.safetensors", stopped_after(96), half=False)
    (run / "result.json").write_text("{}")
    assert [source.name for source in read_sources([run])] == ["tiny (older weights)"]
    assert f"{results} is of older weights of the run; evaluate.py model={run} measures" in capsys.readouterr().err
    second = measurement.evaluate(options, results, lambda *_: None)
    assert f"{results} holds measurements of other weights of {run}, which are replaced" in capsys.readouterr().err
    assert second.about.identity != first.about.identity
    assert second.about.earlier == "2 of 4 measurements are from an earlier call"  # those of JPEG
    assert second.curves[0].results != first.curves[0].results
    assert second.curves[1].results == first.curves[1].results
    assert [source.name for source in read_sources([run])] == ["tiny"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", [b"f\xfcr.png", "a\u2028b\x85c.png".encode()])
def test_photos_of_any_name_are_measured_and_read_again(
    tmp_path: Path, tiny_weights: Path, images: Path, name: bytes
) -> None:
    (images / "photo-0.png").rename(images / os.fsdecode(name))
    options = evaluation_options(tiny_weights, find_images(images))
    measurement.evaluate(options, tmp_path / "x", lambda *_: None)
    again = measurement.evaluate(options, tmp_path / "x", lambda *_: None)
    assert again.about.earlier == "2 of 2 measurements are from an earlier call"
    assert read_evaluation(tmp_path / "x").about.measured == again.about.measured


def test_a_named_pipe_is_no_photo_of_a_folder(images: Path) -> None:
    os.mkfifo(images / "pipe.png")
    assert [path.name for path in find_images(images)] == ["photo-0.png", "photo-1.png"]


def with_other_weights(codec: IterativeCodec) -> IterativeCodec:
    """A copy of ``codec`` that codes otherwise."""
    changed = copy.deepcopy(codec)
    with torch.no_grad():
        next(changed.decoder.parameters()).mul_(1.1)
    return changed


def test_all_images_are_measured_by_the_weights_that_are_named_though_a_run_writes_others_meanwhile(
    tmp_path: Path, tiny_codec: IterativeCodec, images: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    save_model(tiny_codec, weights, {"iterations": 1}, half=False)
    options = evaluation_options(weights, find_images(images))
    expected = measurement.evaluate(options, tmp_path / "alone", lambda *_: None)

    def write_others(done: int, total: int, complaint: str) -> None:
        if done == 1:
            save_model(with_other_weights(tiny_codec), weights, {"iterations": 1}, half=False)

    found = measurement.evaluate(options, tmp_path / "meanwhile", write_others)
    assert found.about.identity == expected.about.identity
    assert without_times(tmp_path / "meanwhile") == without_times(tmp_path / "alone")
    newest = measurement.evaluate(options, tmp_path / "newest", lambda *_: None)
    assert newest.about.identity != expected.about.identity
    assert without_times(tmp_path / "newest") != without_times(tmp_path / "alone")
    with pytest.raises(RnncodecError, match="written anew while they were measured"):
        measurement.measured_codec.__wrapped__(str(weights), "cpu", expected.about.identity)


def test_the_network_is_measured_anew_on_another_device(
    tmp_path: Path, tiny_weights: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = evaluation_options(tiny_weights, find_images(images), baselines=("jpeg",))
    about = measurement.evaluate(options, tmp_path / "x", lambda *_: None).about
    assert about.versions["device"] == "cpu"
    assert about.versions["precision"] in ("float32", "bfloat16")
    file = tmp_path / "x" / "evaluation.json"
    file.write_text(file.read_text().replace('"device": "cpu"', '"device": "cuda"'))
    again = measurement.evaluate(options, tmp_path / "x", lambda *_: None)
    assert "holds measurements of the network on cuda, which are replaced" in capsys.readouterr().err.replace("\n", " ")
    assert again.about.earlier == "2 of 4 measurements are from an earlier call, with device cuda"
    third = measurement.evaluate(options, tmp_path / "x", lambda *_: None)
    assert third.about.earlier == "4 of 4 measurements are from an earlier call, with device cuda"


def test_a_model_has_the_whole_name_of_its_run(tmp_path: Path, tiny_weights: Path) -> None:
    (tmp_path / "decay-0.95").mkdir()
    assert [name_of(path) for path in (tmp_path / "decay-0.95", tiny_weights, Path("light"))] == [
        "decay-0.95", "tiny", "light",
    ]  # fmt: skip


def test_wrong_option_of_the_command_ends_in_one_message(evaluate: Evaluate, tmp_path: Path) -> None:
    done = evaluate("images=nowhere", f"folder={tmp_path / 'x'}")
    assert done.returncode != 0
    assert "nowhere: this folder cannot be read: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_wandb_holds_curves_images_and_summaries(evaluate: Evaluate, tmp_path: Path) -> None:
    done = evaluate(f"folder={tmp_path / 'x'}", "baselines=[jpeg]", "logger=wandb", "iterations=2")
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("x/wandb/offline-run-*/*.wandb")
    assert_evaluation_logged(file, read_evaluation(tmp_path / "x"))


def test_wandb_evaluation_joins_the_run_that_trained_the_model(
    evaluate: Evaluate, tmp_path: Path, tiny_codec: IterativeCodec
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    save_model(tiny_codec, run / "weights.safetensors", stopped_after(48), half=False)
    target = "rnncodec.training.loggers.wandb_logger"
    (run / "config.yaml").write_text(f"logger: {{_target_: {target}}}\nrun_id: abc12345\nname: trained\n")
    done = evaluate(f"model={run}", "logger=wandb", "iterations=1")
    assert done.returncode == 0, done.stderr
    (file,) = run.glob("wandb/offline-run-*/*.wandb")
    started = next(record.run for record in records(file) if record.HasField("run"))
    assert (started.run_id, started.display_name, started.job_type) == ("abc12345", "trained", "train")
    assert f"wandb sync {run}/wandb/offline-run-*" in done.stderr
    assert f"{run} is not finished: these are its newest weights, after step 48 of 1000\n" in done.stderr


def test_summary_names_the_layer_that_made_a_picture_worse(result: Path) -> None:
    evaluation = read_evaluation(result)
    first, second = (("tiny", photo) for photo in evaluation.about.images.values())
    points = evaluation.measurements[second]
    rising = [replace(point, ms_ssim=0.1 * t) for t, point in enumerate(points, start=1)]
    measured = {first: rising, second: rising}
    assert "falls on no image" in fall_in_words(replace(evaluation, measurements=measured))
    measured[second] = [rising[0], replace(rising[1], ms_ssim=0.0988), rising[2]]
    sentence = fall_in_words(replace(evaluation, measurements=measured))
    assert sentence == "Largest fall of MS-SSIM from one layer to the next: 0.0012 (photo-1.png, layer 2)."
    assert sentence in summary_text(replace(evaluation, measurements=measured))


def test_area_and_rates_are_logged_under_the_names_that_runs_are_compared_by(result: Path) -> None:
    evaluation = read_evaluation(result)
    logged = scalars(evaluation)
    assert logged["eval/two/auc_ms_ssim"] == evaluation.summary.area_ms_ssim
    assert all(math.isfinite(value) for value in logged.values())
    curve = Curve("x", "", {"bpp": [0.5, 1.0], "ms-ssim-rgb": [0.8, 1.0], "psnr-rgb": [20.0, 30.0]})
    halved = replace(
        evaluation, summaries=[summarize(replace(curve, results={**curve.results, "bpp": [0.25, 0.5]}), curve)]
    )
    assert scalars(halved)["eval/two/bpp_at_0.90"] == pytest.approx(0.375)
    assert scalars(halved)["eval/two/bd_rate_jpeg"] == pytest.approx(-50.0)


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_several_models_make_one_table_and_one_report_and_the_broken_one_is_named(
    evaluate: Evaluate, tiny_weights: Path, context_weights: Path, images: Path, tmp_path: Path, launcher: str
) -> None:
    sweep = tmp_path / "sweep"
    networks = f"model={tiny_weights},nothing,{context_weights}"
    (images / "photo-1.png").unlink()
    short = ["iterations=1", "baselines=[jpeg]"]
    done = evaluate("-m", networks, *short, f"hydra/launcher={launcher}", f"hydra.sweep.dir={sweep}")
    assert done.returncode != 0
    assert "1 of 3 models were not measured" in done.stderr
    assert "nothing: neither a weights file nor a released model" in done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in (sweep / "summary.md").read_text().splitlines() if line.startswith("|")]
    rows = [line.split("|")[1].strip() for line in lines[2:]]
    assert rows == ["tiny", "context", "jpeg"]  # what both have measured is there once
    assert "…" not in done.stdout
    assert "<html" in (sweep / "report.html").read_text()
    assert str(sweep / "report.html") in done.stdout
