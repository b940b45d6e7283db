"""Validation at the end of every epoch."""

import lightning as L


class ValidateEveryEpoch(L.Callback):
    """Validates at the end of each epoch, also of the last one, which may be shorter. Lightning assumes that all
    epochs are as long as the first, and never validates at the end of a shorter one."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.val_check_batch = len(trainer.train_dataloader)  # type: ignore[arg-type]
