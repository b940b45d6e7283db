"""The same codes give the same bytes, and these the same codes, whatever computes them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.entropy.interface import Codes
from rnncodec.entropy.layer_coder import LayerCoder
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec
from rnncodec.pictures.pixels import Pixels
from tests.entropy.after import coder_after

ROOT = Path(__file__).parents[2]

MACHINES = [
    {"OPENBLAS_NUM_THREADS": "1"},
    {"OPENBLAS_NUM_THREADS": "2"},
    {"OPENBLAS_NUM_THREADS": "5"},
    {"OPENBLAS_CORETYPE": "Nehalem"},  # SSE
    {"OPENBLAS_CORETYPE": "Sandybridge"},  # AVX
    {"OPENBLAS_CORETYPE": "Haswell"},  # AVX2, with fused products
]


@pytest.fixture(scope="module")
def all_codes(codes: Tensor) -> np.ndarray:
    """``[6, 4, 32, 10, 11]``"""
    return codes.transpose(0, 1).contiguous().numpy()


def test_threads_and_instructions_change_nothing(context_weights: Path, all_codes: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "codes.npy", all_codes[:2])
    command = [sys.executable, "-m", "tests.entropy.code_layers", str(context_weights), str(tmp_path / "codes.npy")]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=os.environ | machine, stdout=subprocess.PIPE, text=True)
        for machine in MACHINES
    ]
    digests = {process.communicate(timeout=120)[0] for process in processes}
    assert all(process.returncode == 0 for process in processes)
    assert len(digests) == 1


def test_layout_in_memory_changes_nothing(context_codec: IterativeCodec, all_codes: np.ndarray) -> None:
    assert context_codec.context is not None
    first, second = all_codes[0, :2]
    turned = [np.asfortranarray(each) for each in (first, second)]  # the layout of .numpy() of channels_last tensors
    last = [np.ascontiguousarray(each.transpose(1, 2, 0)).transpose(2, 0, 1) for each in (first, second)]
    payload = coder_after(context_codec.context, [first]).encode(second)
    for history, each in (turned, last):
        assert coder_after(context_codec.context, [history]).encode(each) == payload


def files(codec: IterativeCodec, photos: list[Pixels]) -> list[bytes]:
    torch_codec = TorchCodec(codec)
    return [torch_codec.compress(pixels[:96, :80], 3) for pixels in photos[:2]]


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_switches_of_torch_change_nothing(context_codec: IterativeCodec, photos: list[Pixels]) -> None:
    """Files written under one setting decode to the same codes under any other."""
    written = files(context_codec, photos)
    torch_codec = TorchCodec(context_codec)

    def decoded() -> list[Codes]:
        files = map(bitstream.read, written)
        return [codes for file in files for codes in torch_codec.codes(file.header, file.layers)]

    expected = decoded()
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        torch.set_num_threads(2)
        torch.set_float32_matmul_precision("medium")
        with torch.backends.mkldnn.flags(enabled=False):
            assert all(map(np.array_equal, decoded(), expected))
        torch.use_deterministic_algorithms(True)
        assert all(map(np.array_equal, decoded(), expected))
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(threads)


def test_codes_cut_out_of_a_batch_of_eight_are_coded_as_they_are_alone(
    context_codec: IterativeCodec, photos: list[Pixels]
) -> None:
    context = context_codec.context
    assert context is not None
    pieces = np.stack([pixels[:96, :80] for pixels in [*photos, *photos[:2]]])
    images = torch.from_numpy(pieces).permute(0, 3, 1, 2).float() / 255.0
    batch = context_codec.encode(images, 2)
    for index in range(8):
        together = batch[:, index].numpy()
        alone = together.copy()
        first, second, decoder = (LayerCoder(context) for _ in range(3))
        for t in range(2):
            payload = first.encode(together[t])
            assert payload == second.encode(alone[t])
            assert np.array_equal(decoder.decode(payload, alone[t].shape), together[t])
