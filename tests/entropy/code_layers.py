"""Run as a process of its own: codes the codes in a .npy file under the context model of a weights file, decodes them
again, and prints the code's SHA-256. Needs no torch, so that it starts at once."""

import hashlib
import json
import sys

import numpy as np
from safetensors import safe_open

from rnncodec.entropy import layers
from rnncodec.entropy.config import CheckerboardConfig
from rnncodec.entropy.integers import IntegerContext


def load_context(path: str) -> IntegerContext:
    """The context model of a weights file, without torch."""
    with safe_open(path, framework="np") as file:
        options = json.loads(file.metadata()["context"])
        assert options.pop("name") == CheckerboardConfig.name
        config = CheckerboardConfig.from_mapping(options)
        names = [name for name in file.keys() if name.startswith("context.")]  # noqa: SIM118 (no mapping)
        return IntegerContext(config, {name.removeprefix("context."): file.get_tensor(name) for name in names})


if __name__ == "__main__":
    context = load_context(sys.argv[1])
    digest = hashlib.sha256()
    for picture in np.load(sys.argv[2]):
        for t, codes in enumerate(picture):
            payload = layers.encode(codes, list(picture[:t]), context)
            assert np.array_equal(layers.decode(payload, codes.shape, list(picture[:t]), context), codes)
            digest.update(payload)
    print(digest.hexdigest())
