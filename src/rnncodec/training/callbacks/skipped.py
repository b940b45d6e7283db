"""How many photos and shards were skipped in training."""

from typing import Any

import lightning as L

from rnncodec.terminal import Terminal


class CountSkipped(L.Callback):
    """Logs, as ``data/corrupt``, how many times the processes of the run have skipped a photo or a shard so far,
    because it was broken or had vanished. Prints the number when training ends, if it is not 0. A data module that does
    not count them has no attribute ``corrupt``, and nothing is logged. A resumed run goes on counting."""

    def __init__(self) -> None:
        self.before = 0  # by all processes, until the checkpoint that the run goes on from

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["skipped"] = int(trainer.callback_metrics.get("data/corrupt", self.before))

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.before = checkpoint.get("skipped", 0)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        corrupt = getattr(trainer.datamodule, "corrupt", None)  # type: ignore[attr-defined]
        if corrupt is not None:
            before = self.before if trainer.is_global_zero else 0
            pl_module.log("data/corrupt", float(before + corrupt), reduce_fx="sum", sync_dist=True)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Prints in teardown, when the progress bar has left the terminal."""
        skipped = int(trainer.callback_metrics.get("data/corrupt", 0))
        if skipped and stage == "fit" and trainer.is_global_zero:
            Terminal().print(
                f"Skipped: {skipped} times a photo or a shard that was broken or had vanished; see the warnings above",
                soft_wrap=True,
            )
