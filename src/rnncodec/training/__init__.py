"""Training: LightningModules, losses, callbacks, and the start of a run (prepare, launch, fit)."""
