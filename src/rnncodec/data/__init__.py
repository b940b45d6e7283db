"""From photos to batches of patches: shards, sampling, and the LightningDataModule."""
