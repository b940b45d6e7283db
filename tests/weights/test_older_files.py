"""Files that earlier versions wrote with the packaged weights must decode to the same codes for ever."""

import hashlib
import json
from pathlib import Path

import pytest

import rnncodec
from rnncodec.coding.torch_codec import torch_codec_for
from rnncodec.errors import WrongModelError
from rnncodec.fileformat import bitstream
from rnncodec.weights.released import FORMER

FILES = Path(__file__).parent / "files"
CODES = json.loads((FILES / "codes.json").read_text())  # of each layer: the first half of the SHA-256 of its codes


@pytest.mark.parametrize("name", sorted(CODES))
def test_files_of_earlier_versions_decode_to_the_same_codes(name: str) -> None:
    file = bitstream.read((FILES / name).read_bytes())
    layers = torch_codec_for(file.header).codes(file.header, file.layers)
    assert [hashlib.sha256(codes.tobytes()).hexdigest()[:16] for codes in layers] == CODES[name]


@pytest.mark.parametrize("identity", FORMER)
def test_files_of_models_that_are_gone_name_the_version_that_had_them(identity: str) -> None:
    header = bitstream.Header(bytes.fromhex(identity), bitstream.RAW, 32, 16, 16, 1)
    with pytest.raises(WrongModelError, match=r"written with the model \w+ of rnncodec [\d.]+; install that version"):
        rnncodec.decompress(bitstream.write(header, [bytes(header.raw_size)]))
