"""When a run validates."""

import lightning as L


class ValidateEveryEpoch(L.Callback):
    """Validates at the end of each epoch, the last one too, which may have fewer batches than the others. Lightning
    alone takes the length of the first epoch for that of all, and leaves out the validation of a shorter one."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.val_check_batch = len(trainer.train_dataloader)  # type: ignore[arg-type]
