"""Tables of sweeps, from folders such as multiruns leave."""

from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from rnncodec.errors import DataError
from rnncodec.evaluation.ablation import ablations, insert
from rnncodec.network.cost import cost
from tests.defaults import codec_config


def write_run(folder: Path, rows: list[tuple[int, float, float]], **options: object) -> None:
    """A run of two iterations of 64 bits, ¼ and ½ bpp; ``rows`` hold the logged step, the seconds, and the MS-SSIM of
    the first iteration, from which the second's is 0.1 more."""
    folder.mkdir(parents=True)
    model = asdict(codec_config(bits=64, width=0.06))
    reconstruction = {"name": model.pop("reconstruction")}
    config = {"group": "cells", "seed": 0, "model": model, "reconstruction": reconstruction, **options}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    names = ["step", "train/seconds", "train/loss", "val/loss"]
    names += [f"val/{metric}_t{t:02d}" for metric in ("ms_ssim", "psnr") for t in (1, 2)]
    lines = [",".join(names)]
    for step, seconds, ms_ssim in rows:
        lines.append(f"{step},{seconds},0.5,,,,,")
        lines.append(f"{step},{seconds},,0.4,{ms_ssim},{ms_ssim + 0.1},20,22")
    (folder / "history.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two cells, the first with two seeds; the second takes twice the time."""
    folder = tmp_path / "sweep"
    write_run(folder / "0-gru", [(99, 10.0, 0.70), (199, 20.0, 0.84)], cell="gru")
    write_run(folder / "10-lstm", [(99, 20.0, 0.60), (199, 40.0, 0.70)], cell="lstm")
    write_run(folder / "2-gru", [(99, 11.0, 0.70), (199, 22.0, 0.80)], cell="gru", seed=1)
    hydra = {"overrides": {"hydra": ["hydra.mode=MULTIRUN"], "task": ["cell=gru,lstm", "model.bits=[6 4]"]}}
    (folder / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    return folder


def test_settings_are_compared_at_equal_steps_and_at_equal_time(sweep: Path) -> None:
    text = ablations([sweep])["cells"]
    assert "    python train.py -m cell=gru,lstm 'model.bits=[6 4]'\n" in text
    steps, time = text.split("After 200 steps of training:")[1].split("After 20 seconds of training:")
    network = cost(codec_config(bits=64, width=0.06))
    operations = f"{network.encoder:.1f}", f"{network.decoder:.1f}"
    gru = ["gru", "2", "21 ± 1", "0.8200 ± 0.0200", "0.9200 ± 0.0200", "–", "–", "0.450 ± 0.050", "0.7800 ± 0.0175"]
    assert rows(steps) == [
        ["cell", "seeds", "seconds", *QUALITIES],
        [*gru, *operations],
        ["lstm", "1", "40", "0.7000", "0.8000", "–", "–", "–", "0.6750", *operations],
    ]
    assert [row[:5] for row in rows(time)] == [
        ["cell", "seeds", "steps", *QUALITIES[:2]],
        ["gru", "2", "191 ± 9", "0.8109 ± 0.0291", "0.9109 ± 0.0291"],
        ["lstm", "1", "100", "0.6000", "0.7000"],
    ]


QUALITIES = [
    "MS-SSIM at 0.25 bpp", "MS-SSIM at 0.5 bpp", "MS-SSIM at 1 bpp", "PSNR at 1 bpp", "bpp at 0.90", "area to 1 bpp",
    "encoder, kMAC a pixel", "decoder, kMAC a pixel",
]  # fmt: skip


def rows(text: str) -> list[list[str]]:
    """The cells of the Markdown table in ``text``, without the rule below the headings."""
    found = [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line.startswith("|")]
    return [found[0], *found[2:]]


def test_runs_of_one_group_from_several_sweeps_share_a_table(sweep: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "more" / "0-lstm", [(199, 44.0, 0.72)], cell="lstm", seed=1)
    hydra = {"overrides": {"hydra": [], "task": ["cell=lstm", "seed=1"]}}
    (tmp_path / "more" / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    text = ablations([sweep, tmp_path / "more"])["cells"]
    assert "python train.py -m cell=lstm seed=1\n" in text
    assert "| lstm | 2 | 42 ± 2 | 0.7100 ± 0.0100 |" in text


def test_rates_of_a_run_with_a_rate_term_are_cross_entropies(sweep: Path) -> None:
    log = sweep / "10-lstm" / "history.csv"
    names, *lines = log.read_text().splitlines()
    log.write_text("\n".join([f"{names},val/bits_t01,val/bits_t02", *(f"{line},0.5,1.5" for line in lines), ""]))
    steps, _ = ablations([sweep])["cells"].split("After 20 seconds of training:")
    # at 1/8 and 1/2 bpp, instead of 1/4 and 1/2
    assert rows(steps)[2][:9] == ["lstm", "1", "40", "0.7333", "0.8000", "–", "–", "–", "0.7250"]


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


def test_folders_that_are_no_sweeps_are_refused(sweep: Path) -> None:
    with pytest.raises(DataError, match=r"it has no multirun\.yaml"):
        ablations([sweep / "0-gru"])
    with pytest.raises(DataError, match="same options and the same seed"):
        ablations([sweep, sweep])
    (sweep / "10-lstm" / "history.csv").unlink()
    with pytest.raises(DataError, match="no validation is in"):
        ablations([sweep])
