import weakref
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.entropy.interface import ONE
from rnncodec.entropy.layer_coder import LayerCoder
from rnncodec.entropy.order import STAGES, channel_groups, stages
from rnncodec.entropy.quantization import WEIGHT_BITS, dequantize_recurrent, quantize_recurrent
from rnncodec.entropy.recurrent_checkerboard import RecurrentCheckerboard
from rnncodec.entropy.recurrent_checkerboard_integers import RecurrentCheckerboardContext
from rnncodec.errors import ConfigurationError, ModelError
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec
from rnncodec.pictures.pixels import Pixels
from rnncodec.weights.weights_file import load_model, model_identity, save_model
from tests.defaults import recurrent_checkerboard_config
from tests.entropy.reference import recurrent_frequencies
from tests.entropy.test_checkerboard_integers import all_frequencies

SMALL = recurrent_checkerboard_config(bits=5, iterations=4, groups=2, memory=3, hidden=(6, 4))


def random_codes(*shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def model() -> RecurrentCheckerboard:
    """An untrained model whose outputs are not small."""
    torch.manual_seed(0)
    network = RecurrentCheckerboard(SMALL)
    torch.nn.init.normal_(network.output)
    return network


@pytest.fixture(scope="module")
def trained(codes: Tensor) -> RecurrentCheckerboard:
    """A small model that has seen `codes` a few times."""
    torch.manual_seed(0)
    network = RecurrentCheckerboard(recurrent_checkerboard_config(iterations=3, groups=3, memory=6, hidden=(16, 8)))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(25):
        loss = binary_cross_entropy_with_logits(network(codes[:3]), (codes[:3] > 0).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def context(trained: RecurrentCheckerboard) -> RecurrentCheckerboardContext:
    return quantize_recurrent(trained)


@pytest.fixture
def codec(tiny_codec: IterativeCodec, context: RecurrentCheckerboardContext) -> IterativeCodec:
    codec = IterativeCodec(tiny_codec.config)
    codec.load_state_dict(tiny_codec.state_dict())
    codec.context = context
    return codec.eval()


# In floating point


def test_a_probability_depends_only_on_bits_of_earlier_groups(model: RecurrentCheckerboard) -> None:
    codes = random_codes(4, 1, 5, 6, 7)
    group = torch.tensor([g for g, run in enumerate(channel_groups(5, 2)) for _ in range(run.start, run.stop)])
    within = torch.from_numpy(stages(6, 7)) * 2 + group[:, None, None]
    ranks = torch.stack([within + t * STAGES * 2 for t in range(4)])  # when each bit is coded
    logits = model(codes)
    for t, channel, y, x in [(0, 0, 0, 0), (1, 2, 3, 3), (1, 4, 2, 4), (2, 0, 5, 6), (3, 1, 1, 2)]:
        changed = codes.clone()
        changed[t, 0, channel, y, x] *= -1
        differs = (model(changed) != logits)[:, 0]
        assert not differs[ranks <= ranks[t, channel, y, x]].any()
        assert differs.any()


def test_a_bit_remembers_all_earlier_iterations_ever_farther_away() -> None:
    torch.manual_seed(0)
    model = RecurrentCheckerboard(replace(SMALL, memory=24)).double()
    torch.nn.init.constant_(model.memory_bias, 8.0)  # in the middle of the range, where nothing is clipped
    codes = random_codes(4, 1, 5, 1, 13).double()
    seen = torch.autograd.functional.jacobian(lambda c: model(c)[3, 0, :, 0, 6].sum(), codes)[:, 0, :, 0].ne(0).any(1)
    assert seen[2].nonzero().flatten().tolist() == [5, 6, 7]
    assert seen[1].nonzero().flatten().tolist() == [4, 5, 6, 7, 8]
    assert seen[0].nonzero().flatten().tolist() == [3, 4, 5, 6, 7, 8, 9]


def test_training_reaches_every_parameter(model: RecurrentCheckerboard) -> None:
    codes = random_codes(4, 2, 5, 8, 9)
    binary_cross_entropy_with_logits(model(codes), (codes > 0).float()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        reached = parameter.grad.flatten(1).any(dim=1)
        # The memory is read before an iteration: the last does not write it, and in the first it is empty.
        unused = {"codes": [3], "memory_bias": [3], "state": [0, 3], "past": [0], "recall": [0]}.get(name, [])
        assert (~reached).nonzero().flatten().tolist() == unused, name


def test_training_learns(trained: RecurrentCheckerboard, codes: Tensor) -> None:
    with torch.no_grad():
        loss = binary_cross_entropy_with_logits(trained(codes[:3]), (codes[:3] > 0).float())
    assert loss < 0.6 * np.log(2)


def test_pictures_of_a_batch_do_not_mix(trained: RecurrentCheckerboard, codes: Tensor) -> None:
    with torch.no_grad():
        together = trained(codes[:3])
        alone = torch.cat([trained(codes[:3, i : i + 1]) for i in range(codes.shape[1])], dim=1)
    torch.testing.assert_close(alone, together)


def test_fewer_iterations_are_predicted_alike(trained: RecurrentCheckerboard, codes: Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(trained(codes[:2]), trained(codes[:3])[:2])


@pytest.mark.parametrize("options", [{"groups": 0}, {"radius": 1.5}, {"hidden": (8,)}, {"memory": 0}, {"depth": 3}])
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="context"):
        recurrent_checkerboard_config(**options)


# In integers


def test_integers_cost_at_most_a_hundredth_more_than_floats(
    trained: RecurrentCheckerboard, context: RecurrentCheckerboardContext, codes: Tensor
) -> None:
    codes = codes[:3]
    with torch.no_grad():
        floats = binary_cross_entropy_with_logits(trained(codes), (codes > 0).float(), reduction="sum").item()
    cost = 0.0
    for picture in codes.transpose(0, 1).numpy():
        for t, each in enumerate(picture):
            ones = all_frequencies(context, list(picture[:t]), each) / ONE  # type: ignore[arg-type]
            cost -= np.log(np.where(each > 0, ones, 1 - ones)).sum()
    assert cost <= 1.01 * floats


@pytest.mark.parametrize("name", ["codes", "window", "past", "centre"])
def test_weights_of_codes_have_few_values_so_that_they_are_compressed_well(
    context: RecurrentCheckerboardContext, name: str
) -> None:
    for weights in context.tensors[name]:
        assert len(np.unique(np.abs(weights))) <= 2**WEIGHT_BITS + 1


def test_integers_turned_into_floats_predict_alike(context: RecurrentCheckerboardContext, codes: Tensor) -> None:
    network = dequantize_recurrent(context)
    with torch.no_grad():
        ones = network(codes).sigmoid()
        torch.testing.assert_close(network(codes, start=2), network(codes)[2:])
    assert len(codes) > context.config.iterations
    for t in range(len(codes)):
        found = all_frequencies(context, list(codes[:t, 0].numpy()), codes[t, 0].numpy()) / ONE
        np.testing.assert_allclose(ones[t, 0], found, atol=0.02)


def test_a_second_implementation_computes_the_same(codes: Tensor) -> None:
    torch.manual_seed(0)
    model = RecurrentCheckerboard(
        recurrent_checkerboard_config(bits=3, iterations=2, groups=2, radius=1, memory=3, hidden=(4, 3))
    )
    torch.nn.init.normal_(model.output)
    torch.nn.init.normal_(model.memory_bias)
    context = quantize_recurrent(model)
    picture = codes[:, 0, :3, :4, :5].numpy()  # more iterations than those trained
    reference = recurrent_frequencies(
        {name: tensor.tolist() for name, tensor in context.tensors.items()}, 3, 2, 1, iterations=2
    )
    for t, each in enumerate(picture):
        found = all_frequencies(context, list(picture[:t]), each)  # type: ignore[arg-type]
        known = {place: int(each[place]) for place in product(range(3), range(4), range(5))}
        for c, y, x in known:
            assert reference(list(picture[:t]), known, 4, 5, c, y, x) == found[c, y, x]


def test_pictures_that_are_coded_in_turn_do_not_disturb_each_other(
    context: RecurrentCheckerboardContext, codes: Tensor
) -> None:
    pictures = codes[:, :2].transpose(0, 1).numpy()
    alone = []
    for picture in pictures:
        coder = LayerCoder(context)
        alone.append([coder.encode(each) for each in picture])
    coders = [LayerCoder(context), LayerCoder(context)]
    in_turn = [[coder.encode(picture[t]) for coder, picture in zip(coders, pictures, strict=True)] for t in range(4)]
    assert [list(payloads) for payloads in zip(*in_turn, strict=True)] == alone


def test_no_layer_is_remembered_for_longer_than_the_memory_needs_it(
    context: RecurrentCheckerboardContext, context_codec: IterativeCodec, codes: Tensor
) -> None:
    """Of the recurrent model and of the checkerboard, whose memory is a sum."""
    for model in (context, context_codec.context):
        assert model is not None
        picture = model.start()
        layers = [each.copy() for each in codes[:, 0].numpy()]
        kept = [weakref.ref(each) for each in layers]
        while layers:
            picture.remember(layers.pop(0))
        assert [each() is None for each in kept] == [True, True, model is context, False]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (2, 3), (10, 11)])
def test_codes_survive(context: RecurrentCheckerboardContext, codes: Tensor, height: int, width: int) -> None:
    for picture in codes[..., :height, :width].transpose(0, 1).numpy():
        encoder, decoder = LayerCoder(context), LayerCoder(context)
        for each in picture:
            assert np.array_equal(decoder.decode(encoder.encode(each), each.shape), each)


@pytest.mark.parametrize(
    "name",
    ["codes", "state", "memory_bias", "window", "past", "recall", "centre", "stage", "group", "hidden", "output"],
)
def test_sums_that_float32_might_round_are_refused(context: RecurrentCheckerboardContext, name: str) -> None:
    tensors = {key: value.astype(np.int32) for key, value in context.tensors.items()}
    tensors[name][1].flat[-1] = 2**24
    with pytest.raises(ModelError, match="exact below 16,777,216"):
        RecurrentCheckerboardContext(context.config, tensors)


def test_weights_too_large_for_exact_sums_are_not_rounded(model: RecurrentCheckerboard) -> None:
    with torch.no_grad():
        model.state *= 1e7
    with pytest.raises(ModelError, match="too large"):
        quantize_recurrent(model)


# In files


def test_files_are_those_of_coder_3_and_decode(codec: IterativeCodec, photos: list[Pixels], tmp_path: Path) -> None:
    save_model(codec, tmp_path / "own.safetensors", training={"iterations": 3}, half=False)
    loaded = load_model(tmp_path / "own.safetensors")
    assert isinstance(loaded.context, RecurrentCheckerboardContext)
    assert model_identity(loaded, loaded.context) == model_identity(codec, codec.context)
    written = TorchCodec(codec).compress(photos[0], 4)
    file = bitstream.read(written)
    assert file.header.coder == bitstream.RECURRENT_CONTEXT
    codec.context = None
    in_raw_bits = bitstream.read(TorchCodec(codec).compress(photos[0], 4))
    for expected, decoded in zip(TorchCodec(codec).decode(in_raw_bits), TorchCodec(loaded).decode(file), strict=True):
        assert np.array_equal(expected, decoded)
