import sys
from multiprocessing import get_context

import numpy as np
import pytest

from rnncodec.entropy.layer_coder import LayerCoder
from rnncodec.entropy.parallel import _threads, in_parallel
from rnncodec.network.codec import IterativeCodec


def squares(count: int) -> list[int]:
    found = [0] * count

    def square(i: int) -> None:
        found[i] = i * i

    in_parallel(square, range(count))
    return found


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_all_parts_are_done(count: int) -> None:
    assert squares(count) == [i * i for i in range(count)]


def test_the_error_of_a_part_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda part: 1 / part, [1, 0, 2])


@pytest.mark.skipif(sys.platform != "linux", reason="processes are not forked")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_was_forked_has_threads_of_its_own() -> None:
    squares(8)  # this process has threads now
    with get_context("fork").Pool(1) as pool:
        assert pool.apply_async(squares, [8]).get(timeout=60) == squares(8)


def test_layers_of_many_blocks_are_the_same_on_any_number_of_threads(
    context_codec: IterativeCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (context_codec.config.bits, 120, 90)
    layers = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (2, *shape), p=[0.2, 0.8])
    found = []
    for threads in ("1", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        _threads.cache_clear()
        writer, reader = (LayerCoder(context_codec.context) for _ in range(2))
        found.append([writer.encode(layer) for layer in layers])
        assert all(
            np.array_equal(reader.decode(payload, shape), layer)
            for payload, layer in zip(found[-1], layers, strict=True)
        )
    _threads.cache_clear()
    assert found[0] == found[1]
