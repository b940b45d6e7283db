"""The result of training a codec, on the terminal."""

import lightning as L
from rich.table import Table

from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.network.cost import cost
from rnncodec.terminal import Terminal
from rnncodec.training.module import CodecModule
from rnncodec.weights.released import RUN_WEIGHTS


class IterationTable(L.Callback):
    """When training ends, prints PSNR and MS-SSIM of each iteration, from the last validation, and the folder of the
    run."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Prints in teardown, when the progress bar has left the terminal."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, CodecModule)
        metrics = trainer.callback_metrics
        table = Table(title="Validation photos, mean", caption="bpp of raw bits, before entropy coding")
        for heading in ("iteration", "bpp", "PSNR (dB)", "MS-SSIM"):
            table.add_column(heading, justify="right")
        for t in range(1, pl_module.iterations + 1):
            bpp = t * pl_module.codec.config.bits / STRIDE**2
            psnr, ms_ssim = metrics.get(f"val/psnr_t{t:02d}"), metrics.get(f"val/ms_ssim_t{t:02d}")
            if psnr is None or ms_ssim is None:
                return  # no validation yet
            table.add_row(str(t), f"{bpp:.3f}", f"{psnr:.2f}", f"{ms_ssim:.4f}")
        console = Terminal()
        console.print(table)
        console.print(f"Network: {cost(pl_module.codec.config)}", soft_wrap=True)
        console.print(f"Run:     {self.folder}", f"Picture: {self.folder}/strip.png", sep="\n", soft_wrap=True)
        console.print(f"Weights: {self.folder}/{RUN_WEIGHTS}", soft_wrap=True)
