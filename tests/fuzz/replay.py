"""Use files that the fuzzer has found:  python -m tests.fuzz.replay FOLDER [SEEDS]

The name of each file in FOLDER begins with its kind, or its folder has the name of the kind. SEEDS is a folder that
`tests.fuzz.seeds.make_seeds` has written; without it, one is made. Each file has 5 seconds; the process, and so each
file, has 1 GB. The exit code is 1 if a file fails.
"""

import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch

from tests.fuzz.kinds import KINDS, use
from tests.fuzz.seeds import make_seeds

SECONDS = 5
MEGABYTES = 1024


def main() -> None:
    folder, *seeds = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory() as made:
        if not seeds:
            seeds = [Path(made) / "seeds"]
            make_seeds(seeds[0])
        failed = [path for path in files if not passes(path, seeds[0], Path(made))]
    print(f"{len(files)} files, {len(failed)} failed")
    if failed:
        raise SystemExit(1)


def kind_of(path: Path) -> str:
    return path.parent.name if path.parent.name in KINDS else path.name.partition("-")[0]


def passes(path: Path, seeds: Path, made: Path) -> bool:
    """Whether the file ends in an RnncodecError or in a valid picture, in time and memory. Prints what it ends in
    otherwise."""
    scratch = made / kind_of(path)
    scratch.mkdir(exist_ok=True)
    started = time.process_time()
    signal.alarm(12 * SECONDS)  # ends the process, where a file would take for ever
    try:
        use(kind_of(path), path.read_bytes(), seeds, scratch)
    except Exception:
        print(f"{path}:\n{traceback.format_exc()}")
        return False
    finally:
        signal.alarm(0)
    seconds, memory = time.process_time() - started, most_megabytes()
    if seconds > SECONDS or memory > MEGABYTES:
        print(f"{path}: {seconds:.1f} seconds, {memory:.0f} MB")
    return seconds <= SECONDS and memory <= MEGABYTES


def most_megabytes() -> float:
    """The most memory that this process has had. (Its ru_maxrss is at least that of the process that started it.)"""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
