"""One process of the fuzzer:  python -m tests.fuzz.guided KIND RUNS SEED SEEDS SCRATCH FOUND [libFuzzer's options]

Atheris (libFuzzer) chooses which files to change: those that reached code of rnncodec that no other file had reached.
It ends at the first file that raises another error than an RnncodecError, that takes more than 5 seconds, or with which
the process has more than 1 GB, and leaves this file in the folder FOUND.
"""

import os
import sys
from pathlib import Path
from random import Random

os.environ["OMP_NUM_THREADS"] = "1"

import atheris

with atheris.instrument_imports(include=["rnncodec"]):
    from tests.fuzz.kinds import KINDS, use

import torch

SECONDS = 5
MEGABYTES = 1024
LARGEST = 2**20  # bytes of a file


def main() -> None:
    kind, runs, seed, *folders = sys.argv[1:7]
    seeds, scratch, found = map(Path, folders)
    torch.set_num_threads(1)
    corpus = scratch / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    own = Path(__file__).parent / "corpus" / kind
    for path in [*seeds.glob(KINDS[kind].seeds), *own.glob("*")]:
        (corpus / f"seed-{path.name}").write_bytes(path.read_bytes())
    devices = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devices, 1)

    def mutate(content: bytes, largest: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.1:
            return bytes(atheris.Mutate(content, largest))
        return KINDS[kind].mutate(content, random)[:largest]

    options = [
        sys.argv[0],
        f"-runs={runs}",
        f"-seed={seed}",
        f"-timeout={SECONDS}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-malloc_limit_mb={MEGABYTES}",
        f"-max_len={LARGEST}",
        f"-artifact_prefix={found}/{kind}-",
        "-reload=0",
        "-len_control=0",
        *sys.argv[7:],
        str(corpus),
    ]
    atheris.Setup(options, lambda content: use(kind, content, seeds, scratch), custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
