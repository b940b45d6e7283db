"""What a training step of each run of sweeps costs, in CPU seconds of one core. The runs take turns on one machine.
Those that differ only in the seed are measured once. Prints a Markdown table, and writes the file that `rnncodec
ablation --step-seconds` reads.

python -m benchmarks.step_seconds outputs/sweeps/* -o step_seconds.json
"""

import argparse
import json
from pathlib import Path

import torch

from benchmarks.steps import cpu_seconds, step_of
from rnncodec.atomic_file import replacing
from rnncodec.evaluation.ablation.runs import job_name
from rnncodec.evaluation.settings import setting_key
from rnncodec.evaluation.sources import from_folders
from rnncodec.evaluation.summary import markdown
from rnncodec.training.launch.sweep import jobs
from rnncodec.training.run.folder import holds_run
from rnncodec.training.run.saved_config import load_config


def settings(sweeps: list[Path]) -> list[list[Path]]:
    """The folders of the runs of each setting."""
    found: dict[frozenset[tuple[str, str]], list[Path]] = {}
    for run in (job for sweep in sweeps for job in jobs(sweep) if holds_run(job)):
        found.setdefault(setting_key(from_folders(run, None).options), []).append(run)
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweeps", nargs="+", type=Path, metavar="SWEEP", help="folders of multiruns")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the JSON file")
    parser.add_argument("--repeats", type=int, default=10, help="steps of which the fastest counts")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for sweep in arguments.sweeps:
        if not sweep.is_dir():
            parser.error(f"{sweep} is not a folder")
    found = settings(arguments.sweeps)
    if not found:
        parser.error(f"there is no run in {', '.join(map(str, arguments.sweeps))}")
    configs = [load_config(runs[0]) for runs in found]
    for config in configs:
        if config.curriculum:
            parser.error(f"{config.folder} has a curriculum: its steps are of several lengths")
    taken = cpu_seconds([step_of(config) for config in configs], arguments.repeats)
    rows = [
        [job_name(runs[0]), f"{seconds:.3f}", f"{seconds / taken[0]:.3f}"]
        for runs, seconds in zip(found, taken, strict=True)
    ]
    print(markdown(["a step of", "CPU seconds", "against the first"], rows))
    by_run = {job_name(run): round(seconds, 4) for runs, seconds in zip(found, taken, strict=True) for run in runs}
    with replacing(arguments.output) as temporary:
        temporary.write_text(json.dumps(by_run, indent=1) + "\n")


if __name__ == "__main__":
    main()
