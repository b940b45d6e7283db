import numpy as np
import pytest
from torch import Tensor

from rnncodec.entropy import layer_coder, range_coder
from rnncodec.entropy.interface import ONE, Groups
from rnncodec.errors import FormatError
from rnncodec.network.codec import IterativeCodec


def test_codes_survive_packing() -> None:
    codes = (np.random.default_rng(0).integers(0, 2, (5, 3, 7)) * 2 - 1).astype(np.int8)
    assert np.array_equal(layer_coder.unpack(layer_coder.pack(codes), (5, 3, 7)), codes)
    assert layer_coder.pack(np.array([1, -1, 1, -1, -1, 1, -1, 1, 1], np.int8).reshape(9, 1, 1)) == b"\xa5\x80"


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (2, 3), (10, 11)])
def test_codes_survive_the_context_coder(context_codec: IterativeCodec, codes: Tensor, height: int, width: int) -> None:
    assert context_codec.context is not None
    for picture in codes[..., :height, :width].transpose(0, 1).numpy():
        for t, each in enumerate(picture):
            payload = layer_coder.encode(each, list(picture[:t]), context_codec.context)
            assert len(payload) <= (each.size + 7) // 8
            decoded = layer_coder.decode(payload, each.shape, list(picture[:t]), context_codec.context)
            assert np.array_equal(decoded, each)


def test_expected_codes_are_short_and_unexpected_ones_raw(context_codec: IterativeCodec, codes: Tensor) -> None:
    assert context_codec.context is not None
    expected = codes[0, 0].numpy()
    assert len(layer_coder.encode(expected, [], context_codec.context)) < 0.7 * expected.size / 8
    unexpected = (np.random.default_rng(0).integers(0, 2, expected.shape) * 2 - 1).astype(np.int8)
    payload = layer_coder.encode(unexpected, [], context_codec.context)
    assert payload == layer_coder.pack(unexpected)
    assert np.array_equal(layer_coder.decode(payload, expected.shape, [], context_codec.context), unexpected)


def test_payloads_longer_than_raw_bits_are_refused(context_codec: IterativeCodec) -> None:
    assert context_codec.context is not None
    with pytest.raises(FormatError, match="needs 8"):
        layer_coder.decode(bytes(9), (32, 1, 2), [], context_codec.context)


@pytest.mark.parametrize("bits", [100, 10_000_000])
def test_no_code_word_is_shorter_than_the_least_size(bits: int) -> None:
    certain = np.full(bits, ONE - 1)  # the highest probability that a context model can give
    indices = np.arange(bits)

    def groups() -> Groups:
        yield indices, certain

    payload = range_coder.encode(np.ones(bits, np.uint8), groups())
    most = layer_coder.least_size(bits) + layer_coder.SLACK + 9  # the coder ends with its state of 64 bits
    assert layer_coder.least_size(bits) <= len(payload) <= most


def test_a_code_word_that_no_reader_would_accept_is_replaced_by_the_raw_bits(
    context_codec: IterativeCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert context_codec.context is not None
    codes = np.ones((32, 1000, 500), np.int8)
    assert layer_coder.least_size(codes.size) > 1
    monkeypatch.setattr(range_coder, "encode", lambda bits, groups: b"\x01")
    assert layer_coder.encode(codes, [], context_codec.context) == layer_coder.pack(codes)
