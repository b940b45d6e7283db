"""Training: the LightningModule, losses, callbacks, and what starts a run."""
