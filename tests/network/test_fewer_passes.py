import copy

import pytest
import torch
from torch import nn

from rnncodec.network.codec import FoldedConv, IterativeCodec
from rnncodec.network.fewer_passes import JoinedGRU, take_fewer_passes
from tests.defaults import codec_config

TWO_CELLS = {
    "encoder_channels": [8, 8, 12],
    "encoder_hidden_kernels": [3, 3],
    "decoder_channels": [16, 16, 12],
    "decoder_hidden_kernels": [3, 3],
    "width": 1.0,
    "linear_path": True,
}


def parts(codec: IterativeCodec, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in codec.modules())


@pytest.mark.parametrize(
    ("options", "joined", "folded"),
    [
        (TWO_CELLS, 2, True),  # two cells in the decoder, whose kernels are 3×3 on the state too
        ({"width": 0.03}, 2, False),  # four cells in the decoder, of which two have a kernel of 1×1 on the state
        ({"width": 0.03, "encoder_cell": "lstm", "decoder_cell": "lstm"}, 0, False),
    ],
    ids=["two cells", "GRU", "LSTM"],
)
def test_fewer_passes_compute_the_same(options: dict[str, object], joined: int, folded: bool) -> None:
    torch.manual_seed(0)
    codec = IterativeCodec(codec_config(**{"encoder_cell": "gru", "decoder_cell": "gru", **options})).eval().double()
    fewer = copy.deepcopy(codec)
    take_fewer_passes(fewer)
    assert parts(fewer, JoinedGRU) == joined
    assert (parts(codec, FoldedConv), parts(fewer, FoldedConv)) == (1, 0 if folded else 1)
    images = torch.rand(2, 3, 48, 80, dtype=torch.float64)
    with torch.no_grad():
        (codes, pictures), (found, shown) = codec(images, 3), fewer(images, 3)
    assert torch.equal(found, codes)
    torch.testing.assert_close(shown, pictures, rtol=1e-9, atol=1e-9)
