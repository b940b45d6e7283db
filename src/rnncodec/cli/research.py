"""The commands of the research platform: shards, report, ablation."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rnncodec.cli.app import app
from rnncodec.cli.files import check_output, write_output
from rnncodec.cli.options import MaxPixels, Overwrite
from rnncodec.cores import warn_of_few_cores
from rnncodec.errors import ConfigurationError, extra
from rnncodec.pictures.limits import MAX_PIXELS
from rnncodec.terminal import counted, log, progress, say_left_out


@app.command()
def shards(
    sources: Annotated[list[str], typer.Argument(metavar="SRC...", help="Images, folders, globs, tars.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards and their manifest.")],
    min_size: Annotated[int, typer.Option(min=1, help="Leave out images with a shorter side, in pixels.")] = 32,
    downscale: Annotated[float, typer.Option(min=1.0, help="Divide both sides of each image by this.")] = 1.0,
    shard_size: Annotated[int, typer.Option(min=1, help="Images in a shard.")] = 128,
    max_pixels: MaxPixels = MAX_PIXELS,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    part: Annotated[
        str, typer.Option(metavar="K/N", help="Write every N-th shard from the K-th on: one task of a cluster's array.")
    ] = "1/1",
) -> None:
    """Write images as WebDataset shards to train on. A command that was interrupted goes on where it was.

    Examples:

        rnncodec shards ~/photos --out data/train --min-size 256

        rnncodec shards 'raw/*.png' more.tar --out data/train --downscale 2

        rnncodec shards ~/photos --out data/train --jobs 8 --part $SLURM_ARRAY_TASK_ID/100
    """
    with extra("train"):
        from rnncodec.data.shards import write_shards

    numbers = re.fullmatch(r"(\d+)/(\d+)", part)
    if numbers is None:
        raise ConfigurationError(f"--part needs two whole numbers, as in 3/100, not {part}")
    warn_of_few_cores(jobs, f"--jobs {jobs}")
    with progress() as bar:
        task = bar.add_task("writing shards", total=None)

        def on_image(complaint: str, total: int) -> None:
            if complaint:
                log.print(f"[yellow]skipped[/] {escape(complaint)}", soft_wrap=True)
            bar.update(task, advance=1, total=total)

        manifest = write_shards(
            sources,
            out,
            min_size=min_size,
            downscale=downscale,
            shard_size=shard_size,
            max_pixels=max_pixels,
            jobs=jobs,
            part=(int(numbers[1]), int(numbers[2])),
            on_image=on_image,
            on_left_out=say_left_out,
        )
    log.print(
        f"{out}: {counted(manifest.photos, 'image')} in {counted(len(manifest.shards), 'shard')}; "
        f"{manifest.too_small} too small, {len(manifest.broken)} broken",
        soft_wrap=True,
    )


@app.command()
def report(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_OR_RESULT...", help="Folders of runs, sweeps or evaluations, or JSON files of curves."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The page.")] = Path("report.html"),
    photos: Annotated[
        int,
        typer.Option(min=0, help="Photos to show for each evaluation: the three with the lowest quality, then others."),
    ] = 3,
    plots: Annotated[Path | None, typer.Option(help="Also draw the curves, as PNG and SVG, into this folder.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare training runs and evaluations on one HTML page, which needs no network connection.

    Examples:

        rnncodec report outputs/evaluations/light-kodak-* -o report.html

        rnncodec report outputs/runs/* -o report.html --plots plots
    """
    with extra("evaluate"):
        from rnncodec.evaluation.report.page import render, report_curves
        from rnncodec.evaluation.report.plots import write_plots
        from rnncodec.evaluation.sources import read_sources

    check_output(str(output), overwrite)
    found = read_sources(sources)
    with progress() as bar:
        layers = sum(source.evaluation.about.iterations for source in found if source.evaluation)
        task = bar.add_task("compressing photos", total=2 * photos * layers)
        content = render(found, photos, lambda: bar.advance(task)).encode(errors="replace")  # names may be no text
    write_output(str(output), content)
    log.print(f"{output}: {len(content) / 1e6:.1f} MB", soft_wrap=True)
    if plots is not None:
        for path in write_plots(report_curves(found), plots):
            log.print(f"{path}", soft_wrap=True)


@app.command()
def ablation(
    sweeps: Annotated[list[Path], typer.Argument(metavar="SWEEP...", help="Folders of multiruns.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The document. Its other text is kept.")],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The run that BD-rates are computed against. Default: the first of each table."
        ),
    ] = None,
    bases: Annotated[
        list[str] | None,
        typer.Option(
            "--base",
            metavar="NAME",
            help="A run that other groups were changed from: it is a row of their tables, too. May be given several "
            "times, each after the one that it was changed from; a group then shows the one that differs from its runs "
            "in the fewest options.",
        ),
    ] = None,
    step_seconds: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The CPU seconds of a step of each run, as benchmarks.step_seconds writes them. Default: those of "
            "training, which depend on the machine and on its other work.",
        ),
    ] = None,
) -> None:
    """Compare the finished runs of sweeps in a Markdown document: tables at equal steps and at equal CPU seconds, and
    figures.

    Runs of one group are in one table, and runs that differ only in the seed in one row. Each group has its place
    between two marks; a new one is added at the end. The figures are written into the folder figures beside the
    document. Runs that are not finished are named.

    Examples:

        rnncodec ablation outputs/sweeps/* -o docs/ABLATIONS.md

        rnncodec ablation outputs/sweeps/* -o docs/ABLATIONS.md --against gru-additive-0 --base gru-one_shot-0
    """
    with extra("evaluate"):
        from rnncodec.evaluation.ablation.page import FIGURES, ablations, insert
        from rnncodec.evaluation.ablation.runs import read_step_seconds

        page = ablations(sweeps, against, bases or (), read_step_seconds(step_seconds) if step_seconds else None)
        document = output.read_text() if output.exists() else "# Ablations\n"
        document = insert(page.texts, document)
        for name, draw in page.figures.items():
            draw(output.parent / FIGURES / name)
            log.print(f"{output.parent / FIGURES / name}", soft_wrap=True)
    write_output(str(output), document.encode())
    log.print(f"{output}: {', '.join(page.texts)}", soft_wrap=True)
