"""The network of the paper: cells, binarizer, reconstruction frameworks, and the loop."""
