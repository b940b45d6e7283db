"""``python several.py FOLDERS`` exports the network in ``codec.safetensors`` of each folder into the same folder."""

import sys
from pathlib import Path

from rnncodec.cli import app

for folder in map(Path, sys.argv[1:]):
    app(["export", str(folder / "codec.safetensors"), "-o", str(folder)], standalone_mode=False)
