from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import rnncodec
from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.entropy import layer_coder
from rnncodec.entropy.binary_rnn import BinaryRNN, BinaryRNNContext, freeze
from rnncodec.entropy.contexts import context_config
from rnncodec.entropy.interface import ONE
from rnncodec.errors import ConfigurationError, FormatError, ModelError, WrongModelError
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec
from rnncodec.pictures.pixels import Pixels
from rnncodec.weights.weights_file import load_model, model_identity, save_model
from tests.defaults import binary_rnn_config
from tests.entropy.test_checkerboard_integers import all_frequencies

SHAPE = (4, 1, 3, 6, 7)  # iterations, pictures, bits, rows, columns


@pytest.fixture(scope="module")
def untrained() -> BinaryRNN:
    torch.manual_seed(0)
    return BinaryRNN(binary_rnn_config(bits=3, iterations=4, maps=5))


def random_codes(*shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@given(st.tuples(*(st.integers(0, side - 1) for side in SHAPE)))
def test_no_bit_sees_its_own_position_or_a_later_one(untrained: BinaryRNN, bit: tuple[int, ...]) -> None:
    codes = random_codes(*SHAPE)
    changed = codes.clone()
    changed[bit] *= -1
    with torch.no_grad():
        differs = (untrained(changed) != untrained(codes)).any(dim=2)[:, 0].flatten()  # in the order of coding
    t, _, _, y, x = bit
    own = (t * SHAPE[3] + y) * SHAPE[4] + x
    assert not differs[: own + 1].any()
    assert differs.any() or own >= len(differs) - SHAPE[4] * SHAPE[3]  # the last iteration's last bits help no other


def test_a_bit_sees_the_rows_above_its_left_and_all_earlier_iterations(untrained: BinaryRNN) -> None:
    codes = random_codes(*SHAPE).float()
    gradient = torch.autograd.functional.jacobian(lambda c: untrained(c)[3, 0, 1, 5, 3], codes)[:, 0]
    seen = gradient.ne(0).all(dim=1)  # of a position, all bits or none
    assert seen[3, 5, 2]
    assert seen[3, 0, 6]  # beyond the 7×7: the line LSTM remembers
    assert not seen[3, 5, 3:].any()
    assert seen[:3, 5, 3].all()  # its own position, in each iteration before
    assert seen[2, 4, 4]


def test_training_reaches_every_parameter(untrained: BinaryRNN) -> None:
    codes = random_codes(*SHAPE)
    binary_cross_entropy_with_logits(untrained(codes), (codes > 0).float()).backward()
    for name, parameter in untrained.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.fixture(scope="module")
def trained(codes: Tensor) -> BinaryRNN:
    """A small network that has seen `codes` a few times."""
    torch.manual_seed(0)
    network = BinaryRNN(binary_rnn_config(iterations=3, maps=8))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(25):
        loss = binary_cross_entropy_with_logits(network(codes[:3, :3]), (codes[:3, :3] > 0).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.8 * np.log(2)
    return network


@pytest.fixture(scope="module")
def context(trained: BinaryRNN) -> BinaryRNNContext:
    return freeze(trained)


def test_files_are_coded_under_the_probabilities_that_were_trained(
    trained: BinaryRNN, context: BinaryRNNContext, codes: Tensor
) -> None:
    picture = codes[:3, :1, :, :5, :6]
    with torch.no_grad():
        expected = trained(picture)[:, 0].sigmoid().numpy() * ONE
    for t, each in enumerate(picture[:, 0].numpy()):
        found = all_frequencies(context, list(picture[:t, 0].numpy()), each)
        np.testing.assert_allclose(found, np.clip(expected[t], 1, ONE - 1), atol=4)


def test_sure_networks_give_probabilities_neither_0_nor_1(trained: BinaryRNN) -> None:
    sure = freeze(trained)
    torch.nn.init.constant_(sure.network.output[-1].bias, 1e4)
    codes = np.ones((32, 2, 2), np.int8)
    assert (all_frequencies(sure, [], codes) == ONE - 1).all()
    assert np.array_equal(layer_coder.decode(layer_coder.encode(-codes, [], sure), codes.shape, [], sure), -codes)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (6, 1), (5, 7)])
def test_codes_survive_whatever_their_layout_in_memory(
    context: BinaryRNNContext, codes: Tensor, height: int, width: int
) -> None:
    picture = codes[:3, 0, :, :height, :width].numpy()
    for t, each in enumerate(picture):
        payload = layer_coder.encode(each, list(picture[:t]), context)
        turned = [np.asfortranarray(earlier) for earlier in picture[:t]]
        assert np.array_equal(layer_coder.decode(payload, each.shape, turned, context), each)
    assert len(layer_coder.encode(picture[0], [], context)) < 0.8 * picture[0].size / 8


def test_layers_written_by_other_floats_are_refused(context: BinaryRNNContext, codes: Tensor) -> None:
    tensors = {name: value * 1.1 for name, value in context.tensors.items()}
    elsewhere = BinaryRNNContext(context.config, tensors)
    each = codes[0, 0].numpy()
    with pytest.raises(FormatError, match="other codes than were written"):
        layer_coder.decode(layer_coder.encode(each, [], elsewhere), each.shape, [], context)


@pytest.fixture(scope="module")
def weights(tiny_codec: IterativeCodec, context: BinaryRNNContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of `tiny_codec` with `context`."""
    codec = IterativeCodec(tiny_codec.config)
    codec.load_state_dict(tiny_codec.state_dict())
    codec.context = context
    path = tmp_path_factory.mktemp("weights") / "binary_rnn.safetensors"
    save_model(codec, path, training={"iterations": 3}, half=False)
    return path


def test_files_decode_wherever_they_are_cut(weights: Path, tiny_weights: Path, photos: list[Pixels]) -> None:
    image = Image.fromarray(photos[0][:70, :90])
    data, raw = (rnncodec.compress(image, model=path) for path in (weights, tiny_weights))
    file = bitstream.read(data)
    assert file.header.coder == bitstream.FLOAT_CONTEXT
    assert len(file.layers[0]) < 0.8 * file.header.raw_size
    assert np.array_equal(rnncodec.decompress(data, model=weights), rnncodec.decompress(raw, model=tiny_weights))
    for t, end in enumerate(file.ends[:-1], start=1):
        with pytest.warns(UserWarning, match=f"decoding {t} layers: it was cut"):
            shown = rnncodec.decompress(data[: end + 1], model=weights)
        assert np.array_equal(shown, rnncodec.decompress(raw, model=tiny_weights, iterations=t))


def test_files_name_the_context_model_they_need(weights: Path, context_codec: IterativeCodec) -> None:
    content = TorchCodec(load_model(weights)).compress(np.zeros((20, 20, 3), np.uint8), 1)
    with pytest.raises(WrongModelError):
        next(TorchCodec(context_codec).decode(bitstream.read(content)))


def test_it_travels_with_its_codec_and_changes_its_identity(
    weights: Path, context: BinaryRNNContext, tiny_codec: IterativeCodec
) -> None:
    loaded = load_model(weights)
    assert isinstance(loaded.context, BinaryRNNContext)
    assert loaded.context.config == context.config
    assert model_identity(loaded) == model_identity(tiny_codec)
    assert model_identity(loaded, loaded.context) == model_identity(tiny_codec, context)
    tensors = {name: value.copy() for name, value in context.tensors.items()}
    tensors["line.hidden_gates.weight"].flat[0] += 1e-3
    assert model_identity(tiny_codec, BinaryRNNContext(context.config, tensors)) != model_identity(tiny_codec, context)


def test_tensors_of_another_shape_are_refused(
    tiny_codec: IterativeCodec, context: BinaryRNNContext, tmp_path: Path
) -> None:
    codec = IterativeCodec(tiny_codec.config)
    codec.context = freeze(BinaryRNN(binary_rnn_config(maps=8)))
    codec.context.config = binary_rnn_config(maps=9)
    save_model(codec, tmp_path / "mismatch.safetensors", training={}, half=False)
    with pytest.raises(ModelError, match="do not fit together"):
        load_model(tmp_path / "mismatch.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "binary_rnn", "bits": 32, "iterations": 2, "maps": 0}, "context.maps must be"),
        ({"name": "binary_rnn", "groups": 4}, "unknown context options: groups"),
        (
            {"name": "markov"},
            "unknown context model 'markov'; choose from checkerboard, recurrent_checkerboard, binary_rnn",
        ),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        context_config(options)
