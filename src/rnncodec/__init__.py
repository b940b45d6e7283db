"""Recurrent, progressive image compression."""

from rnncodec.model_file import load_model

__all__ = ["load_model"]
