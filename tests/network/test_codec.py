from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.nn import functional

from rnncodec.errors import ConfigurationError
from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.network.binarizer import BINARIZERS
from rnncodec.network.cells import CELLS
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.config import CodecConfig
from rnncodec.network.linear_path import LinearPath
from rnncodec.network.projection import Projection
from rnncodec.network.reconstruction import RECONSTRUCTIONS
from rnncodec.network.residual_normalization import CAPACITY, ResidualNormalization
from tests.defaults import CONF, codec_config, values

ITERATIONS = 3
LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(
    params=[(cell, framework) for cell in CELLS for framework in RECONSTRUCTIONS],
    ids="-".join,
)
def codec(request: pytest.FixtureRequest) -> IterativeCodec:
    """A small network of each kind, in eval mode, in which both binarizers do the same."""
    cell, framework = request.param
    torch.manual_seed(0)
    config = codec_config(encoder_cell=cell, decoder_cell=cell, reconstruction=framework, width=0.03)
    return IterativeCodec(config).eval()


def in_training(codec: IterativeCodec, binarizer: str) -> IterativeCodec:
    """A new network of the same kind with this binarizer, in training mode."""
    return IterativeCodec(replace(codec.config, binarizer=binarizer)).train()


def reconstructions(codec: IterativeCodec, images: Tensor, iterations: int) -> Tensor:
    with torch.inference_mode():
        return torch.stack([picture for _, picture in codec.iterate(images, iterations)])


# Every kind of network


@pytest.mark.parametrize("binarizer", BINARIZERS)
def test_training_reaches_every_parameter(codec: IterativeCodec, images: Tensor, binarizer: str) -> None:
    codec = in_training(codec, binarizer)
    (codec(images, ITERATIONS)[1] - images).abs().mean().backward()
    for name, parameter in codec.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("images_layout", LAYOUTS)
@pytest.mark.parametrize("weights_layout", LAYOUTS)
def test_decoding_gives_the_encoders_own_reconstructions_bit_for_bit(
    codec: IterativeCodec, images: Tensor, images_layout: torch.memory_format, weights_layout: torch.memory_format
) -> None:
    codec.to(memory_format=weights_layout)
    for pictures in (images, images[:, :, :16, :16]):
        pictures = pictures.clone(memory_format=images_layout)
        with torch.inference_mode():
            codes, own = zip(*codec.iterate(pictures, ITERATIONS), strict=True)
        decoded = codec.decode(torch.stack(codes))
        assert all(torch.equal(picture, wanted) for picture, wanted in zip(decoded, own, strict=True))


@pytest.mark.parametrize("binarizer", BINARIZERS)
def test_codes_are_int8_of_minus_and_plus_one(codec: IterativeCodec, images: Tensor, binarizer: str) -> None:
    codes = codec.encode(images, ITERATIONS)
    assert codes.shape == (ITERATIONS, 2, 32, 2, 3)
    assert codes.dtype == torch.int8
    assert set(codes.unique().tolist()) == {-1, 1}
    codec = in_training(codec, binarizer)
    assert set(codec.encode(images, ITERATIONS).unique().tolist()) == {-1, 1}


def test_more_iterations_leave_the_first_ones_as_they_were(codec: IterativeCodec, images: Tensor) -> None:
    three = codec.encode(images, 3)
    assert torch.equal(codec.encode(images, 5)[:3], three)
    assert torch.equal(codec.encode(images, 1), three[:1])


def test_forward_gives_codes_and_reconstruction_of_every_iteration(codec: IterativeCodec, images: Tensor) -> None:
    with torch.inference_mode():
        codes, pictures = codec(images, ITERATIONS)
    assert torch.equal(codes, codec.encode(images, ITERATIONS))
    assert torch.equal(pictures, reconstructions(codec, images, ITERATIONS))


@torch.no_grad()
def test_channels_last_changes_nothing_but_rounding(codec: IterativeCodec, images: Tensor) -> None:
    codes = codec.encode(images, ITERATIONS)
    expected = torch.stack(list(codec.decode(codes)))
    features, _ = codec.encoder(images - 0.5, None)
    codec.to(memory_format=torch.channels_last)
    torch.testing.assert_close(torch.stack(list(codec.decode(codes))), expected, rtol=1e-3, atol=1e-4)
    shuffled = (images - 0.5).to(memory_format=torch.channels_last)
    torch.testing.assert_close(codec.encoder(shuffled, None)[0], features, rtol=1e-3, atol=1e-4)


# The loop


def test_a_cut_stream_of_codes_decodes_to_the_first_pictures(tiny_codec: IterativeCodec, images: Tensor) -> None:
    codes = tiny_codec.encode(images, 4)
    assert torch.equal(torch.stack(list(tiny_codec.decode(codes[:2]))), torch.stack(list(tiny_codec.decode(codes)))[:2])


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 16), (16, 80)])
def test_sides_may_be_any_multiples_of_16(tiny_codec: IterativeCodec, height: int, width: int) -> None:
    codes = tiny_codec.encode(torch.rand(1, 3, height, width), 2)
    assert codes.shape == (2, 1, 32, height // 16, width // 16)
    assert [picture.shape for picture in tiny_codec.decode(codes)] == [(1, 3, height, width)] * 2


@pytest.mark.parametrize(("height", "width"), [(32, 40), (17, 32), (8, 8)])
def test_sides_that_are_no_multiples_of_16_are_refused(tiny_codec: IterativeCodec, height: int, width: int) -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        tiny_codec.encode(torch.rand(1, 3, height, width), 1)


def test_a_network_with_zero_output_reconstructs_mid_grey(tiny_config: CodecConfig, images: Tensor) -> None:
    codec = IterativeCodec(tiny_config).eval()
    nn.init.zeros_(codec.decoder.output.weight)
    nn.init.zeros_(codec.decoder.output.bias)
    assert torch.equal(reconstructions(codec, images, 2), torch.full((2, *images.shape), 0.5))


def test_the_number_of_bits_is_free(images: Tensor) -> None:
    codec = IterativeCodec(codec_config(width=0.03, bits=5))
    assert codec.encode(images, 2).shape[2] == 5


# Cells and projections


@pytest.mark.parametrize("cells", [1, 2, 3, 4])
def test_fewer_cells_leave_the_finest_grids_to_convolutions(images: Tensor, cells: int) -> None:
    torch.manual_seed(0)
    config = codec_config(
        encoder_channels=(8,) * (cells + 1),
        decoder_channels=(8,) * (cells + 1),
        encoder_hidden_kernels=(3,) * cells,
        decoder_hidden_kernels=(3,) * cells,
    )
    codec = IterativeCodec(config)
    codes, pictures = codec(images, ITERATIONS)
    assert codes.shape == (ITERATIONS, 2, 32, 2, 3)
    assert pictures.shape == (ITERATIONS, *images.shape)
    (pictures - images).abs().mean().backward()
    assert all(parameter.grad.any() for parameter in codec.parameters())
    codec.eval()
    codes = codec.encode(images, ITERATIONS)
    assert torch.equal(torch.stack(list(codec.decode(codes))), reconstructions(codec, images, ITERATIONS))


@torch.no_grad()
def test_each_iteration_has_a_projection_of_its_own_and_later_ones_the_last() -> None:
    torch.manual_seed(0)
    projection, x = Projection(4, 6, iterations=3), torch.randn(2, 4, 5, 5)
    outputs = [projection(x, t) for t in range(5)]
    assert outputs[0].shape == (2, 6, 5, 5)
    assert not torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[1], outputs[2])
    assert torch.equal(outputs[2], outputs[3])
    assert torch.equal(outputs[2], outputs[4])


def test_training_reaches_the_projections_of_the_iterations_that_are_trained(images: Tensor) -> None:
    codec = IterativeCodec(codec_config(width=0.03, projections=4))
    (codec(images, ITERATIONS)[1] - images).abs().mean().backward()
    for projection in (codec.binarizer.conv, codec.decoder.conv):
        reached = projection.weight.grad.unflatten(0, (4, -1)).flatten(1).any(dim=1)
        assert reached.tolist() == [True, True, True, False]


@pytest.mark.parametrize("iterations", [1, 3])
def test_a_projection_takes_the_iteration_as_a_number_or_as_a_tensor(iterations: int) -> None:
    projection, x = Projection(4, 5, iterations), torch.randn(2, 4, 3, 2)
    for t in range(5):
        assert torch.equal(projection(x, torch.tensor(t)), projection(x, t))


# The linear path


def test_with_a_linear_path_codes_reach_every_pixel_of_their_block_and_no_other() -> None:
    torch.manual_seed(0)
    linear_path = LinearPath(bits=8, features=12, side=STRIDE, iterations=2)
    codes, features = torch.ones(1, 8, 2, 3), torch.randn(1, 12, 2, 3)
    pixels = functional.pixel_shuffle(linear_path.patterns(linear_path(codes, features, 1), 1), STRIDE)
    assert pixels.shape == (1, 3, 2 * STRIDE, 3 * STRIDE)
    turned = codes.clone()
    turned[..., 1, 2] = -1.0
    after = functional.pixel_shuffle(linear_path.patterns(linear_path(turned, features, 1), 1), STRIDE)
    changed = (after != pixels).any(dim=1)[0]
    assert changed[STRIDE:, 2 * STRIDE :].all()
    assert changed.sum() == STRIDE**2


def test_with_a_linear_path_training_reaches_every_parameter_and_decoding_repeats_encoding(images: Tensor) -> None:
    torch.manual_seed(0)
    codec = IterativeCodec(codec_config(width=0.03, projections=ITERATIONS, linear_path=True))
    (codec(images, ITERATIONS)[1] - images).abs().mean().backward()
    assert all(parameter.grad.any() for parameter in codec.parameters())
    codes = codec.eval().encode(images, ITERATIONS)
    assert torch.equal(torch.stack(list(codec.decode(codes))), reconstructions(codec, images, ITERATIONS))


# Priming and diffusion


def primed(codec: IterativeCodec, priming: int = 0, diffusion: int = 0) -> IterativeCodec:
    """A network of the same weights with extra runs."""
    other = IterativeCodec(replace(codec.config, priming=priming, diffusion=diffusion)).train(codec.training)
    other.load_state_dict(codec.state_dict())
    return other


@pytest.mark.parametrize(("priming", "diffusion"), [(1, 0), (0, 2), (3, 1)])
def test_decoding_repeats_the_extra_runs_bit_for_bit(
    codec: IterativeCodec, images: Tensor, priming: int, diffusion: int
) -> None:
    codec = primed(codec, priming, diffusion)
    codes = codec.encode(images, ITERATIONS)
    assert codes.shape == (ITERATIONS, 2, 32, 2, 3)  # no bit more
    assert torch.equal(torch.stack(list(codec.decode(codes))), reconstructions(codec, images, ITERATIONS))


def test_priming_changes_the_first_iteration_and_diffusion_only_later_ones(
    tiny_codec: IterativeCodec, images: Tensor
) -> None:
    plain = reconstructions(tiny_codec, images, 2)
    assert not torch.equal(reconstructions(primed(tiny_codec, priming=1), images, 1), plain[:1])
    diffused = reconstructions(primed(tiny_codec, diffusion=1), images, 2)
    assert torch.equal(diffused[0], plain[0])
    assert not torch.equal(diffused[1], plain[1])


@torch.no_grad()
def test_a_primed_step_is_the_last_of_plain_steps_on_the_same_input(tiny_codec: IterativeCodec, images: Tensor) -> None:
    codec = primed(tiny_codec, priming=2)
    state = start = tiny_codec.start(torch.zeros_like(images))
    for _ in range(3):
        activations, state = tiny_codec.encode_step(images, state)
    codes = tiny_codec.binarizer(activations)
    before = start
    for _ in range(3):
        after = tiny_codec.decode_step(codes, before)
        before = start._replace(decoder=after.decoder)
    assert torch.equal(codec.encode_step(images, start)[0], activations)
    assert torch.equal(codec.decode_step(codes, start).picture, after.picture)


def test_priming_lets_a_code_reach_more_pixels_and_a_pixel_more_codes() -> None:
    codes_seen, pixels_seen = [], []
    for extra in (0, 1, 2):
        torch.manual_seed(0)
        codec = IterativeCodec(codec_config(width=0.03, encoder_hidden_kernels=(3, 3, 3), priming=extra))
        pixels = torch.randn(1, 3, 16, 304, requires_grad=True)
        start = codec.start(torch.zeros(1, 3, 16, 304))
        codec.encode_step(pixels, start)[0][..., 9].sum().backward()
        pixels_seen.append(pixels.grad.count_nonzero())
        codes = torch.ones(1, 32, 1, 19, requires_grad=True)
        codec.decode_step(codes, start).picture[..., 152].sum().backward()
        codes_seen.append(codes.grad.count_nonzero())
    for seen in (pixels_seen, codes_seen):
        assert all(fewer < more for fewer, more in pairwise(seen)), seen


@pytest.mark.parametrize("iterations", [1, 2])
def test_extra_runs_train_every_parameter(tiny_codec: IterativeCodec, images: Tensor, iterations: int) -> None:
    codec = primed(tiny_codec, priming=1, diffusion=1).train()
    (codec(images, iterations)[1] - images).abs().mean().backward()
    for name, parameter in codec.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name  # those of the state too, from the first iteration on


# Residual normalization


def test_the_running_rms_moves_toward_the_measured_rms() -> None:
    normalization = ResidualNormalization()
    residuals = torch.stack([torch.full((2, 3, 8, 8), rms) for rms in (0.5, 0.1)])
    before = normalization.scales()
    normalization.update(residuals)
    once = normalization.scales()
    assert before[0] < once[0] < 0.5
    assert before[1] > once[1] > 0.1
    for _ in range(400):
        normalization.update(residuals)
    torch.testing.assert_close(normalization.scales()[:2], torch.tensor([0.5, 0.1]), rtol=0.01, atol=0)


def test_the_rms_is_that_of_all_values_of_an_iteration() -> None:
    residuals = torch.randn(1, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    normalization = ResidualNormalization()
    for _ in range(400):
        normalization.update(residuals)
    assert normalization.scales()[0].item() == pytest.approx(residuals.square().mean().sqrt().item(), rel=0.01)


@pytest.mark.parametrize("iterations", [1, 3, CAPACITY])
def test_iterations_beyond_the_last_trained_one_use_its_scale(iterations: int) -> None:
    normalization = ResidualNormalization()
    normalization.update(torch.linspace(0.5, 1.0, iterations)[:, None, None, None, None].expand(-1, 1, 3, 4, 4))
    scales = normalization.scales()
    assert (scales[iterations:] == scales[iterations - 1]).all()
    assert len(scales[:iterations].unique()) == iterations


def test_more_iterations_than_normalization_can_hold_are_refused() -> None:
    with pytest.raises(ValueError, match=f"at most {CAPACITY} iterations"):
        ResidualNormalization().update(torch.zeros(CAPACITY + 1, 1, 3, 4, 4))


@torch.no_grad()
def test_scales_are_learned_in_training_from_the_residuals_before_each_iteration(
    tiny_config: CodecConfig, images: Tensor
) -> None:
    codec = IterativeCodec(tiny_config).train()
    before = codec.normalization.scales()
    _, pictures = codec(images, 2)
    seen = [(images - 0.5).square().mean().sqrt(), (images - pictures[0]).square().mean().sqrt()]
    after = codec.normalization.scales()
    for t, rms in enumerate(seen):
        assert torch.sign(after[t] - before[t]) == torch.sign(rms - before[t]) != 0


@torch.no_grad()
def test_scales_stay_as_they_are_in_eval_mode(tiny_config: CodecConfig, images: Tensor) -> None:
    codec = IterativeCodec(tiny_config).eval()
    before = codec.normalization.scales()
    codec(images, 2)
    codec.encode(images, 2)
    assert torch.equal(codec.normalization.scales(), before)


def test_scales_travel_with_the_weights(tiny_config: CodecConfig, images: Tensor) -> None:
    trained, fresh = IterativeCodec(tiny_config), IterativeCodec(tiny_config)
    trained.normalization.update(torch.rand(3, 1, 3, 8, 8))
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh.normalization.scales(), trained.normalization.scales())
    assert torch.equal(reconstructions(fresh, images, 4), reconstructions(trained, images, 4))


@torch.inference_mode()
def test_decoding_scales_with_the_residuals(tiny_config: CodecConfig, images: Tensor) -> None:
    codec = IterativeCodec(tiny_config).eval()
    codes = codec.encode(images, 1)
    (small,) = codec.decode(codes)
    codec.normalization.rms *= 2
    (large,) = codec.decode(codes)
    torch.testing.assert_close(large - 0.5, 2 * (small - 0.5))


# The config


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"encoder_cell": "elman"}, "encoder_cell 'elman'"),
        ({"decoder_cell": "elman"}, "decoder_cell 'elman'"),
        ({"binarizer": "ternary"}, "binarizer 'ternary'"),
        ({"reconstruction": "both"}, "reconstruction 'both'"),
        ({"encoder_channels": (64, 256, 512)}, "encoder_hidden_kernels needs a list of 2 "),
        ({"encoder_channels": (64,)}, "encoder_channels needs a list of 2 to 5 "),
        ({"decoder_channels": (512, 512, 512, 256, 128, 64)}, "decoder_channels needs a list of 2 to 5 "),
        ({"decoder_channels": (512, 512, 512, 256)}, "decoder_hidden_kernels needs a list of 3 "),
        ({"decoder_channels": (512, 512, 512, 256, 0)}, "decoder_channels"),
        ({"encoder_channels": 64}, "encoder_channels"),
        ({"encoder_channels": (64, 256, 512, 12.5)}, "encoder_channels"),
        ({"encoder_hidden_kernels": ()}, "encoder_hidden_kernels"),
        ({"encoder_hidden_kernels": (1, 2, 1)}, "encoder_hidden_kernels must be odd"),
        ({"decoder_hidden_kernels": (1, 1, 3, 4)}, "decoder_hidden_kernels must be odd"),
        ({"decoder_hidden_kernels": (1, 1, 3, -3)}, "decoder_hidden_kernels"),
        ({"width": 0}, "width"),
        ({"width": -0.5}, "width"),
        ({"width": float("nan")}, "width"),
        ({"width": "wide"}, "width"),
        ({"bits": 0}, "bits"),
        ({"bits": 256}, "bits"),
        ({"bits": 2.5}, "bits"),
        ({"priming": -1}, "priming"),
        ({"priming": 1.5}, "priming"),
        ({"diffusion": "some"}, "diffusion"),
        ({"decoder_cell": {"name": "gru", "copies": 2}}, "unknown options of decoder_cell gru: copies"),
        ({"decoder_cell": {"_target_": "cell"}}, "decoder_cell: _target_ must be a class with its package, not cell"),
        ({"projections": 0}, "projections must be a whole number from 1 to 64"),
        ({"depth": 3, "colour": "no"}, "unknown model options: colour, depth"),
    ],
)
def test_a_config_that_cannot_work_names_the_option(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        codec_config(**options)


def test_an_unknown_choice_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="choose from lstm, gru, residual_gru, minimal_gru, associative_lstm"):
        codec_config(encoder_cell="elman")


def test_a_config_with_an_option_left_out_names_it() -> None:
    options = asdict(codec_config())
    del options["bits"]
    with pytest.raises(ConfigurationError, match="missing model options: bits"):
        CodecConfig.from_mapping(options)


def test_copies_are_an_option_of_the_associative_lstm() -> None:
    cell = {"name": "associative_lstm", "copies": 2}
    codec = IterativeCodec(codec_config(decoder_cell=cell, width=0.03))
    _, (_, memory) = codec.decoder.cells[0](torch.zeros(1, codec.decoder.conv.channels, 2, 3), None)
    assert memory[0].shape[1] == 2
    assert codec_config(decoder_cell=cell | {"copies": 4}) == codec_config(decoder_cell="associative_lstm")
    for copies in (0, 65, True, "2"):
        with pytest.raises(ConfigurationError, match="copies must be a whole number from 1 to 64"):
            IterativeCodec(codec_config(decoder_cell=cell | {"copies": copies}, width=0.03))


def test_the_default_values_of_a_config_are_those_of_train_py() -> None:
    chosen = {
        group: name
        for entry in OmegaConf.load(CONF / "train.yaml").defaults
        if isinstance(entry, DictConfig)
        for group, name in entry.items()
    }
    options = values("base/model.yaml") | values(f"model/{chosen['model']}.yaml")
    options["reconstruction"] = values(f"reconstruction/{chosen['reconstruction']}.yaml")["name"]
    assert CodecConfig() == CodecConfig.from_mapping(options)


def test_a_config_from_lists_equals_one_from_tuples() -> None:
    assert codec_config(encoder_channels=[64, 256, 512, 512]) == codec_config(encoder_channels=(64, 256, 512, 512))


@given(width=st.floats(1e-3, 4.0))
def test_channels_are_multiples_of_four_near_the_papers_times_width(width: float) -> None:
    paper = (64, 256, 512, 512)
    for channels, full in zip(codec_config(width=width).channels(paper), paper, strict=True):
        assert channels >= 4
        assert channels % 4 == 0
        assert channels == 4 or abs(channels - full * width) <= 2.0001


@pytest.mark.parametrize("cell", CELLS)
def test_full_width_has_the_layers_of_the_paper(cell: str) -> None:
    with torch.device("meta"):
        codec = IterativeCodec(codec_config(encoder_cell=cell, decoder_cell=cell, width=1.0))
        images = torch.empty(1, 3, 64, 64)
    seen = []

    def record(module: nn.Module, args: tuple[Tensor, ...], output: Any) -> None:
        output = output[0] if isinstance(output, tuple) else output
        conv: Any = module if isinstance(module, nn.Conv2d) else getattr(module, "input_gates", None) or module
        hidden = module.hidden_gates.kernel_size[0] if hasattr(module, "hidden_gates") else None
        scale = 64 // output.shape[-1]
        seen.append((args[0].shape[1], output.shape[1], conv.kernel_size[0], conv.stride[0], hidden, scale))

    encoder, decoder = codec.encoder, codec.decoder
    for layer in (encoder.conv, *encoder.cells, codec.binarizer.conv, decoder.conv, *decoder.cells, decoder.output):
        layer.register_forward_hook(record)
    next(codec.iterate(images, 1))
    assert seen == [
        # inputs, outputs, kernel, stride, hidden kernel, pixels on a side of an output position
        (3, 64, 3, 2, None, 2),
        (64, 256, 3, 2, 1, 4),
        (256, 512, 3, 2, 1, 8),
        (512, 512, 3, 2, 1, 16),
        (512, 32, 1, 1, None, 16),
        (32, 512, 1, 1, None, 16),
        (512, 512, 3, 1, 1, 16),
        (128, 512, 3, 1, 1, 8),
        (128, 256, 3, 1, 3, 4),
        (64, 128, 3, 1, 3, 2),
        (32, 3, 1, 1, None, 1),
    ]


def test_iterations_after_the_last_scale_use_it(tiny_codec: IterativeCodec, images: Tensor) -> None:
    with torch.inference_mode():
        for codes, picture in tiny_codec.iterate(images[:1, :, :16, :16], CAPACITY + 1):
            assert codes.isfinite().all()
            assert picture.isfinite().all()


def test_the_decoder_does_not_run_after_the_last_codes(tiny_codec: IterativeCodec, images: Tensor) -> None:
    runs = []
    hook = tiny_codec.decoder.register_forward_hook(lambda *_: runs.append(1))
    try:
        codes = tiny_codec.encode(images, 3)
        assert len(runs) == 2
        with torch.inference_mode():
            assert torch.equal(codes, torch.stack([each for each, _ in tiny_codec.iterate(images, 3)]))
        assert len(runs) == 2 + 3
    finally:
        hook.remove()
