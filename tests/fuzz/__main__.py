"""Fuzzing:  python -m tests.fuzz --count 1000000

Files of every kind that a stranger can hand to rnncodec (`tests.fuzz.kinds`) are changed and used: each must end in a
picture, a page, or an RnncodecError, within 5 seconds and 1 GB. A file that does not is kept in the folder of --output,
and the command ends with exit code 1. Put it into tests/fuzz/corpus/KIND together with its repair: the tests use every
file there.

    python -m tests.fuzz --count 1000000 --output found
    python -m tests.fuzz --kind weights --count 20000
    python -m tests.fuzz --seconds 3000                        # as many as there is time for

Needs the package atheris: pip install '.[dev,fuzz]'
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.kinds import KINDS
from tests.fuzz.seeds import make_seeds

MOST_FOUND = 10  # files of a kind; then it is not fuzzed any more
ROUND = 200_000  # files of all kinds, before the kinds have their next turn


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10**9, help="files of all kinds together")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this time")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this kind; may be given again")
    parser.add_argument("--output", type=Path, default=Path("found"), help="the folder for files that found something")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.count == 10**9 and options.seconds == 1e9:
        parser.error("say how long: --count or --seconds")
    kinds = options.kind or list(KINDS)
    options.output.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder) / "seeds"
        make_seeds(seeds)
        total = sum(KINDS[kind].share for kind in kinds)
        wanted = {kind: round(options.count * KINDS[kind].share / total) for kind in kinds}
        done, found, number = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0), options.seed
        while left := [kind for kind in kinds if done[kind] < wanted[kind] and found[kind] < MOST_FOUND]:
            for kind in left:
                seconds = options.seconds - (time.monotonic() - started)
                if seconds <= 1:
                    return report(done, found, started, options.output)
                runs = min(wanted[kind] - done[kind], max(1, round(ROUND * KINDS[kind].share / total)))
                used, failed = fuzz(kind, runs, number, seeds, Path(folder) / kind, options.output, seconds)
                done[kind], found[kind], number = done[kind] + used, found[kind] + failed, number + 1
                print(f"{sum(done.values()):,} files, {sum(found.values())} found something", file=sys.stderr)
    report(done, found, started, options.output)


def fuzz(kind: str, runs: int, seed: int, seeds: Path, scratch: Path, output: Path, seconds: float) -> tuple[int, bool]:
    """Run the fuzzer on ``runs`` files of a ``kind``, in a process of its own. Returns how many it used, and whether
    the last of them found something."""
    scratch.mkdir(exist_ok=True)
    folders = [str(path.resolve()) for path in (seeds, scratch, output)]
    command = [sys.executable, "-m", "tests.fuzz.guided", kind, str(runs), str(seed), *folders]
    done = subprocess.run(
        [*command, f"-max_total_time={max(1, round(seconds))}"], stderr=subprocess.PIPE, text=True, errors="replace"
    )
    counts = [int(count) for count in re.findall(r"^#(\d+)\t", done.stderr, re.MULTILINE)]
    if done.returncode:
        print(done.stderr[-4000:], file=sys.stderr)
    if not counts and not done.returncode:
        raise SystemExit(f"the fuzzer used no file: {done.stderr[-2000:]}")
    return max(counts, default=1), done.returncode != 0


def report(done: dict[str, int], found: dict[str, int], started: float, output: Path) -> None:
    """Print how many files were used, and end with exit code 1 if one found something."""
    for kind, count in done.items():
        print(f"{kind:>12}  {count:>9,} files, {found[kind]} found something")
    seconds = time.monotonic() - started
    print(f"{sum(done.values()):,} files in {seconds:,.0f} seconds, {sum(found.values())} found something")
    if any(found.values()):
        raise SystemExit(f"see {output}; each file there is used again by  python -m tests.fuzz.replay {output}")


if __name__ == "__main__":
    main()
