"""Released weights (safetensors, with their config in the metadata) and their cards."""
