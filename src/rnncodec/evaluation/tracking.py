"""Logs an evaluation to W&B: the numbers that runs are compared by, the curves, and a table of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnncodec.distortion.metrics import decibels
from rnncodec.evaluation.curves import METRICS
from rnncodec.evaluation.measurement import measured_codec
from rnncodec.evaluation.rate_distortion import LIMIT
from rnncodec.evaluation.results import Evaluation
from rnncodec.evaluation.summary import SCORES, TARGETS
from rnncodec.fileformat import bitstream
from rnncodec.pictures.pixels import Pixels, read_pixels

if TYPE_CHECKING:  # it imports Lightning, which takes seconds
    from rnncodec.training.loggers import RunLogger

PICTURES = 8  # images that are logged with their reconstructions


def log_evaluation(logger: "RunLogger", evaluation: Evaluation) -> None:
    """Log ``evaluation`` to W&B at the last step of the training, under `prefix_of`."""
    import wandb

    prefix = prefix_of(evaluation)
    logged: dict[str, Any] = dict(scalars(evaluation))
    for metric, title in METRICS.items():
        titles = [summary.title for summary in evaluation.summaries]
        measured = [(title, curve.points(metric)) for title, curve in zip(titles, evaluation.curves, strict=True)]
        curves = {title: points for title, points in measured if points}
        rates = [[rate for rate, _ in points if rate <= LIMIT] for points in curves.values()]
        values = [[value for rate, value in points if rate <= LIMIT] for points in curves.values()]
        logged[f"{prefix}/curves_{metric}"] = wandb.plot.line_series(
            rates, values, keys=list(curves), title=f"{title} at bits per pixel", xname="bpp"
        )
    logged[f"{prefix}/images"] = image_table(evaluation)
    training = evaluation.about.training
    training = training.get("context", training)  # of a context model, which was trained last
    logger.log_metrics(logged, int(training.get("steps", 0)))


def prefix_of(evaluation: Evaluation) -> str:
    """What the names of the figures of ``evaluation`` begin with: ``eval/DATASET``, with the layers if these are not
    all that were trained, and with the effort if there is one. So no figure takes the place of another one."""
    about = evaluation.about
    all_layers = about.iterations == about.training.get("iterations", about.iterations)
    layers = "" if all_layers else f"-layers-{about.iterations}"
    return f"eval/{about.dataset}{layers}" + (f"-effort-{about.effort}" if about.effort else "")


def scalars(evaluation: Evaluation) -> dict[str, float]:
    """The numbers that runs are compared by in W&B. A value that the curve does not reach is left out."""
    summary, compare_to = evaluation.summary, evaluation.about.compare_to
    values: dict[str, float | None] = {
        "auc_ms_ssim": summary.area_ms_ssim,
        "auc_psnr_hvs": summary.area_psnr_hvs,
        "ends_at_bpp": summary.ends_at,
        f"auc_ms_ssim_over_{compare_to}": summary.over_baseline.difference if summary.over_baseline else None,
        **{f"bpp_at_{target:.2f}": rate for target, rate in zip(TARGETS, summary.rates, strict=True)},
        **{f"bpp_at_ssimulacra2_{score}": rate for score, rate in zip(SCORES, summary.score_rates, strict=True)},
        f"bd_rate_{compare_to}": summary.bd_ms_ssim.percent if summary.bd_ms_ssim else None,
        f"bd_rate_psnr_{compare_to}": summary.bd_psnr.percent if summary.bd_psnr else None,
    }
    return {f"{prefix_of(evaluation)}/{name}": value for name, value in values.items() if value is not None}


def image_table(evaluation: Evaluation) -> Any:
    """A ``wandb.Table`` with one row for each image and iteration. The first PICTURES images are shown, with their
    reconstructions."""
    import wandb

    about = evaluation.about
    columns: list[str | int] = [
        "image", "iteration", "bytes", "bpp", "MS-SSIM", "MS-SSIM (dB)", "SSIMULACRA2", "PSNR", "PSNR-HVS", "original",
        "reconstruction",
    ]  # fmt: skip
    table = wandb.Table(columns=columns)
    for index, path in enumerate(map(Path, about.measured)):
        points = evaluation.points(str(path))
        shown: Sequence[Pixels | None] = [None] * len(points)
        if index < PICTURES:
            original, shown = wandb.Image(read_pixels(path)), reconstructions(evaluation, path)
        for point, pixels in zip(points, shown, strict=True):
            in_decibels = None if point.ms_ssim is None else decibels(point.ms_ssim)
            measured = point.ms_ssim, in_decibels, point.ssimulacra2, point.psnr, point.psnr_hvs
            pictures = (None, None) if pixels is None else (original, wandb.Image(pixels))
            table.add_data(path.name, int(point.setting), point.bytes, point.bpp, *measured, *pictures)
    return table


def reconstructions(evaluation: Evaluation, path: Path) -> list[Pixels]:
    """The decoded picture after each layer."""
    about = evaluation.about
    ours = measured_codec(about.model, about.versions.get("device", "cpu"), about.identity)
    content = ours.compress(read_pixels(path), about.iterations, effort=about.effort)
    return list(ours.decode(bitstream.read(content)))
