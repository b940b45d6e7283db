"""One table and one report of the models that a multirun of evaluate.py has measured."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

import rnncodec.training.run.resolvers  # noqa: F401
from rnncodec.atomic_file import replacing
from rnncodec.evaluation.report.page import compared, of_several_sets, render, report_curves
from rnncodec.evaluation.results import ABOUT, JOB_FAILURE, JOB_RESULTS
from rnncodec.evaluation.sources import read_sources
from rnncodec.evaluation.summary import summary_table
from rnncodec.evaluation.terminal_table import terminal_table
from rnncodec.terminal import Terminal

TABLE, REPORT = "summary.md", "report.html"
OTHER_PHOTOS = "\nThe models were measured on different photos: their rates cannot be compared with each other.\n"
PHOTOS = 3  # of each model, in the report


class CompareModels(Callback):
    """At the end of a multirun of evaluate.py, prints one table of all models, and writes it and a report into the
    folder of the multirun."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        compare(Path(config.hydra.sweep.dir))


def compare(folder: Path) -> None:
    """Print and write the table and the report of the jobs in ``folder``.

    Raises:
        SystemExit: a model could not be measured; the others are in the table. (Of any other exception in a callback
            Hydra makes a warning.)
    """
    jobs = sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    results = [Path((job / JOB_RESULTS).read_text().strip()) for job in jobs if (job / JOB_RESULTS).is_file()]
    results = [result for result in dict.fromkeys(results) if (result / ABOUT).is_file()]
    console = Terminal()
    if results:
        sources = read_sources(results)
        summaries, against = compared(report_curves(sources))
        with replacing(folder / TABLE) as temporary:
            temporary.write_text(summary_table(summaries, against) + (OTHER_PHOTOS if of_several_sets(sources) else ""))
        with replacing(folder / REPORT) as temporary:
            temporary.write_text(render(sources, PHOTOS))
        console.print(terminal_table(summaries, against, f"{len(results)} models; bpp of whole files"))
        if of_several_sets(sources):
            console.print(OTHER_PHOTOS.strip())
        console.print(f"Table:   {folder / TABLE}", f"Report:  {folder / REPORT}", sep="\n", soft_wrap=True)
    failures = [f"{(job / JOB_FAILURE).read_text().strip()}" for job in jobs if (job / JOB_FAILURE).is_file()]
    if failures:
        raise SystemExit(f"{len(failures)} of {len(jobs)} models were not measured:\n" + "\n".join(failures))
