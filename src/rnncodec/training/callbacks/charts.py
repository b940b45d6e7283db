"""Two charts of all iterations in W&B, instead of a panel for each iteration and measure."""

from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.loggers import WandbLogger

from rnncodec.distortion.metrics import decibels
from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.training.module import CodecModule

CURVES = 6  # of quality over bpp: those of so many validations, evenly chosen, the last among them


class IterationCharts(L.Callback):
    """After each validation, logs MS-SSIM in dB as ``val/ms_ssim_db_t01`` …, and two charts to W&B: ``val/iterations``,
    MS-SSIM in dB of each iteration over the steps; ``val/quality_over_bpp``, the same over the rate, which is that of
    raw bits, or their cross-entropy where a context model is trained. The charts of a resumed run hold all
    validations."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.qualities: list[list[float]] = []  # by validation and iteration
        self.rates: list[list[float]] = []

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        assert isinstance(pl_module, CodecModule)
        names = [f"t{t:02d}" for t in range(1, pl_module.iterations + 1)]
        figures = trainer.callback_metrics
        quality = [decibels(float(figures[f"val/ms_ssim_{name}"])) for name in names]
        raw = pl_module.codec.config.bits / STRIDE**2
        rate = np.cumsum([raw * float(figures.get(f"val/bits_{name}", 1.0)) for name in names]).tolist()
        step = trainer.fit_loop.epoch_loop._batches_that_stepped  # as Lightning logs validations
        if self.steps and self.steps[-1] >= step:  # validated again, after the run was resumed
            return
        self.steps.append(step)
        self.qualities.append(quality)
        self.rates.append(rate)
        for logger in trainer.loggers:
            logger.log_metrics(
                {f"val/ms_ssim_db_{name}": value for name, value in zip(names, quality, strict=True)}, step
            )
            if isinstance(logger, WandbLogger):
                logger.log_metrics(self.charts(), step)

    def charts(self) -> dict[str, Any]:
        import wandb

        over_steps = [list(values) for values in zip(*self.qualities, strict=True)]
        chosen = sorted({round(each) for each in np.linspace(0, len(self.steps) - 1, CURVES)})
        return {
            "val/iterations": wandb.plot.line_series(
                self.steps,
                over_steps,
                keys=[f"iteration {t:02d}" for t in range(1, len(over_steps) + 1)],
                title="MS-SSIM (dB) of each iteration",
                xname="step",
            ),
            "val/quality_over_bpp": wandb.plot.line_series(
                [self.rates[index] for index in chosen],
                [self.qualities[index] for index in chosen],
                keys=[f"step {self.steps[index] + 1}" for index in chosen],
                title="MS-SSIM (dB) at bits per pixel",
                xname="bpp",
            ),
        }

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "qualities": self.qualities, "rates": self.rates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps, self.qualities, self.rates = (state_dict[name] for name in ("steps", "qualities", "rates"))
