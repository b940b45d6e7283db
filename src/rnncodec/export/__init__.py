"""A network for other programs (ONNX) and for browsers (a page)."""
