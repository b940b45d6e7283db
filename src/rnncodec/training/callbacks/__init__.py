"""The callbacks of a training run, one in each file."""

from rnncodec.training.callbacks.average import AverageWeights
from rnncodec.training.callbacks.charts import IterationCharts
from rnncodec.training.callbacks.clock import TrainingClock
from rnncodec.training.callbacks.context_table import ContextTable
from rnncodec.training.callbacks.export import ExportContext, ExportWeights
from rnncodec.training.callbacks.finite import StopIfNotFinite
from rnncodec.training.callbacks.iteration_table import IterationTable
from rnncodec.training.callbacks.last_checkpoint import LastCheckpoint
from rnncodec.training.callbacks.meter import TrainingMeter
from rnncodec.training.callbacks.progress import StepProgressBar
from rnncodec.training.callbacks.skipped import CountSkipped
from rnncodec.training.callbacks.strips import ImageStrips
from rnncodec.training.callbacks.trial import ReportTrial
from rnncodec.training.callbacks.validation import ValidateEveryEpoch

__all__ = [
    "AverageWeights",
    "ContextTable",
    "CountSkipped",
    "ExportContext",
    "ExportWeights",
    "ImageStrips",
    "IterationCharts",
    "IterationTable",
    "LastCheckpoint",
    "ReportTrial",
    "StepProgressBar",
    "StopIfNotFinite",
    "TrainingClock",
    "TrainingMeter",
    "ValidateEveryEpoch",
]
