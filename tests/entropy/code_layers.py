"""Run as a process of its own: codes the codes in a .npy file under the context model of a weights file, decodes them
again, and prints the code's SHA-256. Needs no torch, so that it starts at once."""

import hashlib
import sys
from pathlib import Path

import numpy as np

from benchmarks.exactness import load_context
from rnncodec.entropy.layer_coder import LayerCoder

if __name__ == "__main__":
    context = load_context(Path(sys.argv[1]))
    digest = hashlib.sha256()
    for picture in np.load(sys.argv[2]):
        encoder, decoder = LayerCoder(context), LayerCoder(context)
        for codes in picture:
            payload = encoder.encode(codes)
            assert np.array_equal(decoder.decode(payload, codes.shape), codes)
            digest.update(payload)
    print(digest.hexdigest())
