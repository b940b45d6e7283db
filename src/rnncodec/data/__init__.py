"""Photos to batches of patches: shards, sampling, and the LightningDataModule."""
