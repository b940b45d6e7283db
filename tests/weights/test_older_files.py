"""Files that earlier versions wrote with the packaged weights must decode to the same codes for ever."""

import hashlib
import json
from pathlib import Path

import pytest

from rnncodec.coding.torch_codec import torch_codec_for
from rnncodec.fileformat import bitstream

FILES = Path(__file__).parent / "files"
CODES = json.loads((FILES / "codes.json").read_text())  # of each layer: the first half of the SHA-256 of its codes


@pytest.mark.parametrize("name", sorted(CODES))
def test_files_of_earlier_versions_decode_to_the_same_codes(name: str) -> None:
    file = bitstream.read((FILES / name).read_bytes())
    layers = torch_codec_for(file.header)._codes(file.header, file.layers)
    assert [hashlib.sha256(codes.tobytes()).hexdigest()[:16] for codes in layers] == CODES[name]
