"""The work of evaluate.py: from its options to results on disk and a summary on the terminal."""

from pathlib import Path
from typing import Any, cast

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.markup import escape

from rnncodec.atomic_file import is_file_name
from rnncodec.cores import warn_of_few_cores
from rnncodec.errors import ConfigurationError, RnncodecError, from_system
from rnncodec.evaluation.measurement import EvaluationOptions, evaluate
from rnncodec.evaluation.photo_set import set_name
from rnncodec.evaluation.results import JOB_FAILURE, JOB_RESULTS, SUMMARY, Evaluation
from rnncodec.evaluation.samples import sample_images
from rnncodec.evaluation.terminal_table import terminal_table
from rnncodec.evaluation.tracking import log_evaluation
from rnncodec.pictures.folders import find_images
from rnncodec.terminal import Terminal, counted, log, progress, say_left_out
from rnncodec.training.run.folder import CONFIG
from rnncodec.training.run.newest_weights import unfinished

SAMPLES = "samples"


def evaluate_in_multirun(config: DictConfig, job: Path) -> None:
    """Do the same as `evaluate_and_print`, and note in the folder ``job`` where the results are, or why there are none,
    so that the other models are measured and compared."""
    for name in (JOB_RESULTS, JOB_FAILURE):
        (job / name).unlink(missing_ok=True)
    try:
        (job / JOB_RESULTS).write_text(f"{evaluate_and_print(config).absolute()}\n")
    except (RnncodecError, OSError) as raised:
        error = from_system(raised) if isinstance(raised, OSError) else raised
        (job / JOB_FAILURE).write_text(f"{error}\n")
        log.print(f"{config.model}: {error}", soft_wrap=True, markup=False)


def evaluate_and_print(config: DictConfig) -> Path:
    """Evaluate with the options ``config``, show a progress bar, and print the summary. Returns the folder of the
    results.

    Raises:
        RnncodecError: see `rnncodec.evaluation.measurement.evaluate`.
    """
    images = sample_images() if config.images == SAMPLES else find_images(Path(config.images), say_left_out)
    name = config.name or name_of(Path(config.model))
    if not is_file_name(name):
        raise ConfigurationError(
            f"name={name} names the files of the results: it cannot have slashes or control characters, nor be longer "
            "than 200 characters; to choose their folder, use folder=…"
        )
    options = EvaluationOptions(
        model=str(config.model),
        images=images,
        dataset=set_name(Path(config.images).resolve().name, images),
        name=name,
        iterations=config.iterations,
        baselines=tuple(config.baselines),
        anchors=Path(config.anchors) if config.anchors else None,
        compare_to=config.compare_to,
        workers=config.workers,
        device=config.device,
        effort=config.effort,
    )
    folder = results_folder(config, options)
    warn_of_few_cores(min(config.workers or 1, len(images)), f"workers={config.workers}")
    if state := unfinished(Path(config.model)):
        log.print(
            f"{config.model} is not finished: these are its newest weights, {state}", soft_wrap=True, markup=False
        )
    with progress() as bar:
        task = bar.add_task("measuring", total=None)

        def on_progress(done: int, total: int, complaint: str) -> None:
            if complaint:
                log.print(f"[yellow]broken[/] {escape(complaint)}", soft_wrap=True)
            bar.update(task, completed=done, total=total)

        evaluation = evaluate(options, folder, on_progress)
    print_summary(evaluation, folder)
    if config.get("logger"):
        logger = make_logger(config, name, folder)
        log_evaluation(logger, evaluation)
        command = logger.sync_command()
        logger.experiment.finish()
        if command:
            log.print(f"W&B:     {command}  uploads this run", soft_wrap=True, markup=False)
    return folder


def name_of(model: Path) -> str:
    """The name of a model in tables: that of the folder of a run, which may end with 0.01, or of a file without its
    ending."""
    return model.resolve().name if model.is_dir() else model.resolve().stem


def make_logger(config: DictConfig, name: str, folder: Path) -> Any:
    """The logger that ``config`` describes. It logs into the run that trained the model, if there is one, else into a
    new run."""
    run = Path(config.model) / CONFIG
    if run.is_file():
        trained = cast(DictConfig, OmegaConf.load(run))
        if trained.logger and trained.logger._target_ == config.logger._target_:
            kept = {name: trained.get(name) for name in ("group", "tags") if trained.get(name)}
            own = {"id": trained.run_id, "name": trained.name, "job_type": trained.get("job_type", "train")}
            place = {name: trained.logger[name] for name in ("project", "entity") if name in trained.logger}
            return instantiate(config.logger, **own, **kept, **place, save_dir=str(config.model))
    return instantiate(config.logger, id=None, name=name, save_dir=str(folder))


def results_folder(config: DictConfig, options: EvaluationOptions) -> Path:
    """The folder of the results: inside the run whose weights are measured, else under ``config.outputs``. Its name
    holds that of the photos, with their hash, and the options that change the numbers, so that measurements of
    different things never meet."""
    if config.folder:
        return Path(config.folder)
    layers = f"-layers-{options.iterations}" if options.iterations else ""
    effort = f"-effort-{options.effort}" if options.effort else ""
    measured = f"{options.dataset}{layers}{effort}"
    if Path(config.model).is_dir():
        return Path(config.model) / "evaluations" / measured
    return Path(config.outputs) / "evaluations" / f"{options.name}-{measured}"


def print_summary(evaluation: Evaluation, folder: Path) -> None:
    """Print the summary, and the paths of the other results."""
    about = evaluation.about
    title = f"Mean of {counted(len(about.measured), 'image')}; bpp of whole files"
    console = Terminal()
    console.print(terminal_table(evaluation.summaries, about.compare_to, title))
    if about.broken:
        console.print(f"{len(about.broken)} of {len(about.images)} images could not be measured")
    if about.earlier:
        console.print(f"{about.earlier} in {folder}", soft_wrap=True, highlight=False)
    console.print(f"Tables:  {folder / SUMMARY}", soft_wrap=True)
    console.print(f"Report:  rnncodec report {folder} -o report.html", soft_wrap=True)
