"""The result of training a context model, on the terminal."""

import lightning as L
from rich.table import Table

from rnncodec.terminal import Terminal
from rnncodec.training.context_module import ContextModule
from rnncodec.weights.released import RUN_WEIGHTS


class ContextTable(L.Callback):
    """When training ends, prints the cost of a raw bit of each iteration, from the last validation."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Prints in teardown, when the progress bar has left the terminal."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, ContextModule)
        metrics = trainer.callback_metrics
        table = Table(
            title="Validation photos, mean", caption="of the model in floating point, without the headers of layers"
        )
        for heading in ("iteration", "bits a bit", "saved so far"):
            table.add_column(heading, justify="right")
        for t in range(1, pl_module.iterations + 1):
            bits, saved = metrics.get(f"val/bits_t{t:02d}"), metrics.get(f"val/saved_t{t:02d}")
            if bits is None or saved is None:
                return  # no validation yet
            table.add_row(str(t), f"{bits:.4f}", f"{saved:.1%}")
        console = Terminal()
        console.print(table)
        console.print(f"Run:     {self.folder}", soft_wrap=True)
        console.print(f"Weights: {self.folder}/{RUN_WEIGHTS}, the codec's and the context model's", soft_wrap=True)
