"""Pictures ↔ files, with the network in torch or in onnxruntime."""
