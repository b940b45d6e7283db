"""Weights files, the Hugging Face Hub, and the released weights with their cards."""
