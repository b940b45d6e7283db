"""The programs of research, before they do anything."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("program", ["train.py", "evaluate.py"])
def test_help_lists_the_options_without_loading_torch(program: str) -> None:
    code = "import runpy, sys\ntry: runpy.run_path(sys.argv[0], run_name='__main__')\n"
    code = f"import sys; sys.argv = [{str(ROOT / program)!r}, '--help']\n{code}"
    code += "finally: print({'torch', 'lightning'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "optimizer" in done.stdout or "baselines" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"
