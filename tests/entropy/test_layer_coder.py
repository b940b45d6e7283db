import numpy as np
import pytest
from threadpoolctl import threadpool_info
from torch import Tensor

from rnncodec.entropy import layer_coder, range_coder
from rnncodec.entropy.interface import ONE, Groups
from rnncodec.entropy.layer_coder import LayerCoder, products_on_one_thread
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
        encoder, decoder = LayerCoder(context_codec.context), LayerCoder(context_codec.context)
        for each in picture:
            payload = encoder.encode(each)
            assert len(payload) <= (each.size + 7) // 8
            assert np.array_equal(decoder.decode(payload, each.shape), each)


def test_expected_codes_are_short_and_unexpected_ones_raw(context_codec: IterativeCodec, codes: Tensor) -> None:
    assert context_codec.context is not None
    expected = codes[0, 0].numpy()
    assert len(LayerCoder(context_codec.context).encode(expected)) < 0.7 * expected.size / 8
    unexpected = (np.random.default_rng(0).integers(0, 2, expected.shape) * 2 - 1).astype(np.int8)
    payload = LayerCoder(context_codec.context).encode(unexpected)
    assert payload == layer_coder.pack(unexpected)
    assert np.array_equal(LayerCoder(context_codec.context).decode(payload, expected.shape), unexpected)


def test_payloads_longer_than_raw_bits_are_refused(context_codec: IterativeCodec) -> None:
    assert context_codec.context is not None
    with pytest.raises(FormatError, match="needs 8"):
        LayerCoder(context_codec.context).decode(bytes(9), (32, 1, 2))


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
    assert LayerCoder(context_codec.context).encode(codes) == layer_coder.pack(codes)


def test_threads_that_code_at_once_leave_the_products_of_numpy_as_they_were() -> None:
    def threads() -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = threads()
    first, second = products_on_one_thread(), products_on_one_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(threads()) == {1}
    second.__exit__(None, None, None)
    assert threads() == before
