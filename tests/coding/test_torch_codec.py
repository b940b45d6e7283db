import copy
import math
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import rnncodec
from rnncodec.coding.base import as_pixels
from rnncodec.coding.targets import Target
from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.errors import ConfigurationError, FormatError, ImageError, WrongModelError
from rnncodec.evaluation.measure import measure
from rnncodec.fileformat import bitstream
from rnncodec.fileformat.metadata import Metadata
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.config import CodecConfig
from rnncodec.pictures.pixels import Pixels, srgb_profile
from rnncodec.terminal import counted
from rnncodec.weights.weights_file import save_model
from tests.defaults import codec_config


@pytest.fixture(scope="session")
def torch_codec(tiny_codec: IterativeCodec) -> TorchCodec:
    return TorchCodec(tiny_codec)


@pytest.fixture(scope="session")
def context_compressor(context_codec: IterativeCodec) -> TorchCodec:
    return TorchCodec(context_codec)


def shown_by_encoder(torch_codec: TorchCodec, pixels: Pixels, iterations: int) -> list[Pixels]:
    """The pictures that the network makes while it encodes."""
    whole = (slice(0, pixels.shape[0]), slice(0, pixels.shape[1]))
    with torch.inference_mode():
        pictures = [picture for _, picture in torch_codec.codec.iterate(torch_codec.images(pixels), iterations)]
    return [as_pixels(torch_codec.part(picture, whole)) for picture in pictures]


@pytest.mark.parametrize("kind", ["torch_codec", "context_compressor"])
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_any_size_decodes_to_the_encoders_own_pictures(
    request: pytest.FixtureRequest, kind: str, height: int, width: int, iterations: int, seed: int
) -> None:
    torch_codec: TorchCodec = request.getfixturevalue(kind)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    shown = shown_by_encoder(torch_codec, pixels, iterations)
    file = bitstream.read(torch_codec.compress(pixels, iterations))
    decoded = list(torch_codec.decode(file))
    assert len(decoded) == iterations
    for picture, expected in zip(decoded, shown, strict=True):
        assert picture.shape == pixels.shape
        assert np.array_equal(picture, expected)


@pytest.mark.parametrize(
    ("kind", "weights"), [("torch_codec", "tiny_weights"), ("context_compressor", "context_weights")]
)
def test_file_cut_at_every_byte_decodes_to_its_last_whole_layer(
    request: pytest.FixtureRequest, kind: str, weights: str
) -> None:
    torch_codec: TorchCodec = request.getfixturevalue(kind)
    tiny_weights: Path = request.getfixturevalue(weights)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    content = torch_codec.compress(pixels, 3, metadata=Metadata(xmp=b"<xmp>"))
    shown = shown_by_encoder(torch_codec, pixels, 3)
    ends = bitstream.read(content).ends
    for cut in range(len(content)):
        whole = sum(end <= cut for end in ends)
        if whole == 0:
            with pytest.raises(FormatError):
                rnncodec.decompress(content[:cut], model=tiny_weights)
        else:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                image = rnncodec.decompress(content[:cut], model=tiny_weights)
            # Nothing tells a file that ends with its last layer from one that had metadata.
            assert bool(caught) == (cut != ends[-1])
            assert all(f"decoding {counted(whole, 'layer')}: it was cut" in str(warning.message) for warning in caught)
            assert np.array_equal(np.asarray(image), shown[whole - 1])


def test_size_is_that_of_the_raw_bits_and_the_framing(torch_codec: TorchCodec) -> None:
    pixels = np.zeros((512, 768, 3), np.uint8)[:64, :96]
    for iterations in (1, 2, 5):
        bits = 32 * (64 // 16) * (96 // 16) * iterations
        assert len(torch_codec.compress(pixels, iterations)) == bits // 8 + 18 + 5 * iterations


def test_context_model_saves_bytes_and_shows_the_same(
    torch_codec: TorchCodec, context_compressor: TorchCodec, photos: list[Pixels]
) -> None:
    raw, coded = (each.compress(photos[0], 3) for each in (torch_codec, context_compressor))
    assert len(coded) < 0.7 * len(raw)
    first, second = (bitstream.read(content) for content in (raw, coded))
    assert (first.header.coder, second.header.coder) == (bitstream.RAW, bitstream.CONTEXT)
    assert first.header.model != second.header.model
    assert all(map(np.array_equal, torch_codec.decode(first), context_compressor.decode(second)))
    assert len(coded) - sum(map(len, second.layers)) <= 24 + 5 * 3


def test_files_of_raw_bits_decode_after_a_context_model_was_added(
    torch_codec: TorchCodec, context_compressor: TorchCodec, photos: list[Pixels]
) -> None:
    file = bitstream.read(torch_codec.compress(photos[0], 2))
    assert all(map(np.array_equal, torch_codec.decode(file), context_compressor.decode(file)))


def test_files_under_a_context_model_need_it(
    torch_codec: TorchCodec, context_compressor: TorchCodec, photos: list[Pixels]
) -> None:
    file = bitstream.read(context_compressor.compress(photos[0], 2))
    with pytest.raises(WrongModelError, match="not the one at hand"):
        list(torch_codec.decode(file))


def test_every_damaged_byte_is_an_error_or_costs_layers(context_compressor: TorchCodec, photos: list[Pixels]) -> None:
    pixels = photos[0][:40, :50]
    content = context_compressor.compress(pixels, 3)
    shown = list(context_compressor.decode(bitstream.read(content)))
    for at in range(len(content)):
        for flipped in (0x01, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[at] ^= flipped
            try:
                file = bitstream.read(bytes(damaged))
                pictures = list(context_compressor.decode(file))
            except FormatError:
                continue
            assert file.damage is not None
            assert len(pictures) < 3
            assert all(map(np.array_equal, pictures, shown))


def test_layer_that_is_no_code_word_is_refused(context_compressor: TorchCodec) -> None:
    header = bitstream.Header(
        context_compressor.identities[bitstream.CONTEXT], bitstream.CONTEXT, 320, 320, 32, layers=1
    )
    with pytest.raises(FormatError, match="not a code word"):
        list(context_compressor.decode(bitstream.File(header, [b"\xff" * 900], [0])))


def test_api_round_trip(tiny_weights: Path, photos_dir: Path) -> None:
    path = photos_dir / "photo-0.png"
    data = rnncodec.compress(path, model=tiny_weights)
    assert data == rnncodec.compress(Image.open(path), model=tiny_weights)
    assert bitstream.read(data).header.layers == 3  # as the weights file says it was trained for
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = rnncodec.decompress(data, model=tiny_weights)
        first = rnncodec.decompress(data, model=tiny_weights, layers=1)
    assert image.size == Image.open(path).size
    assert first.tobytes() != image.tobytes()


def test_eight_layers_are_written_and_more_where_a_target_needs_them(tiny_codec: IterativeCodec) -> None:
    codec = copy.copy(tiny_codec)
    codec.training_info = {"iterations": 12}
    ours, pixels = TorchCodec(codec), np.full((32, 32, 3), 90, np.uint8)
    assert bitstream.read(ours.compress(pixels)).header.layers == 8
    assert bitstream.read(ours.compress(pixels, target=Target(bpp=50.0))).header.layers == 12
    assert bitstream.read(ours.compress(pixels, 10)).header.layers == 10


def test_metadata_are_kept_unless_they_are_stripped(tiny_weights: Path, photos: list[Pixels]) -> None:
    image = Image.fromarray(photos[0])
    plain = rnncodec.compress(image, model=tiny_weights)
    file = bitstream.read(plain)
    image.info |= {"xmp": b"<xmp>", "icc_profile": srgb_profile()}
    data = rnncodec.compress(image, model=tiny_weights)
    assert data == bitstream.write(file.header, file.layers, Metadata(xmp=b"<xmp>", srgb=True).blocks())
    assert rnncodec.decompress(data, model=tiny_weights).info == image.info
    assert rnncodec.compress(image, model=tiny_weights, strip=True) == plain
    assert rnncodec.decompress(plain, model=tiny_weights).info == {}
    pictures = list(rnncodec.decompress_layers([data], model=tiny_weights))
    assert np.array_equal(pictures[-1], rnncodec.decompress(plain, model=tiny_weights))


def test_metadata_count_where_the_size_is_the_target(context_compressor: TorchCodec, photos: list[Pixels]) -> None:
    metadata = Metadata(xmp=bytes(range(256)))
    whole = context_compressor.compress(photos[0], 3, metadata=metadata)
    ends, size = bitstream.read(whole).ends, bitstream.blocks_size(metadata.blocks())
    for count, end in enumerate(ends, start=1):
        target = Target(max_bytes=end + size)
        content = context_compressor.compress(photos[0], 3, target=target, metadata=metadata)
        assert (len(content), len(bitstream.read(content).layers)) == (end + size, count)
        assert content == bitstream.truncate(bitstream.read(whole), end + size)
    with pytest.raises(ConfigurationError, match=f"{size} of them are metadata, which --strip"):
        context_compressor.compress(photos[0], 3, target=Target(max_bytes=ends[0]), metadata=metadata)


def test_file_of_other_weights_is_refused(torch_codec: TorchCodec, tmp_path: Path) -> None:
    torch.manual_seed(1)
    other = tmp_path / "other.safetensors"
    save_model(IterativeCodec(codec_config(width=0.03)), other, training={"iterations": 3}, half=False)
    data = torch_codec.compress(np.zeros((16, 16, 3), np.uint8), 1)
    with pytest.raises(WrongModelError, match=torch_codec.identities[bitstream.RAW].hex()):
        rnncodec.decompress(data, model=other)
    with pytest.raises(WrongModelError, match="none of the released ones"):
        rnncodec.decompress(data)


def test_layers_that_do_not_fit_the_header_are_refused(torch_codec: TorchCodec) -> None:
    header = bitstream.Header(torch_codec.identities[bitstream.RAW], bitstream.RAW, 32, 32, 32, 1)
    with pytest.raises(FormatError, match="needs 16"):
        list(torch_codec.decode(bitstream.File(header, [b"short"], [0])))
    unknown = bitstream.Header(torch_codec.identities[bitstream.RAW], 77, 32, 32, 32, 1)
    with pytest.raises(FormatError, match="coder 77"):
        list(torch_codec.decode(bitstream.File(unknown, [bytes(16)], [0])))


def test_size_targets_are_met_by_as_many_layers_as_fit(context_compressor: TorchCodec, photos: list[Pixels]) -> None:
    pixels = photos[0]
    whole = context_compressor.compress(pixels, 3)
    ends = bitstream.read(whole).ends
    for count, end in enumerate(ends, start=1):
        for max_bytes in (end, end + 5):
            content = context_compressor.compress(pixels, 3, target=Target(max_bytes=max_bytes))
            assert content == bitstream.truncate(bitstream.read(whole), max_bytes)
            assert bitstream.read(content).header.layers == count
    rate = 8 * ends[1] / (pixels.shape[0] * pixels.shape[1])
    assert len(context_compressor.compress(pixels, 3, target=Target(bpp=rate + 1e-6))) == ends[1]
    with pytest.raises(ConfigurationError, match=f"one layer takes {ends[0]:,} bytes"):
        context_compressor.compress(pixels, 3, target=Target(max_bytes=ends[0] - 1))


@pytest.mark.parametrize("name", ["psnr", "ms_ssim"])
def test_quality_targets_are_met_by_the_fewest_layers(
    context_compressor: TorchCodec, photos: list[Pixels], name: str
) -> None:
    reached = [getattr(point, name) for point in measure(context_compressor, photos[0], 3)]
    for least in reached:
        content = context_compressor.compress(photos[0], 3, target=Target(**{name: least}))
        first = next(t for t, value in enumerate(reached, start=1) if value >= least)
        assert bitstream.read(content).header.layers == first
    with pytest.raises(ConfigurationError, match=r"with 3 layers the picture reaches .* that is the nearest"):
        context_compressor.compress(photos[0], 3, target=Target(**{name: max(reached) + 0.01}))


def test_targets_that_make_no_sense_are_refused(context_compressor: TorchCodec) -> None:
    with pytest.raises(ConfigurationError, match="only one target"):
        Target(bpp=1.0, psnr=30.0)
    for bpp in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ConfigurationError, match="bpp must be positive and finite"):
            Target(bpp=bpp)
    with pytest.raises(ConfigurationError, match="176 pixels"):
        context_compressor.compress(np.zeros((64, 64, 3), np.uint8), 1, target=Target(ms_ssim=0.5))


@pytest.mark.parametrize("iterations", [0, -1, 256])
def test_iterations_out_of_range_are_refused(torch_codec: TorchCodec, iterations: int) -> None:
    with pytest.raises(ConfigurationError, match="iterations must be"):
        torch_codec.compress(np.zeros((16, 16, 3), np.uint8), iterations)


@given(sizes=st.lists(st.integers(0, 400), max_size=30))
def test_pictures_appear_while_the_bytes_of_a_file_arrive(
    context_weights: Path, context_compressor: TorchCodec, photos: list[Pixels], sizes: list[int]
) -> None:
    data = context_compressor.compress(photos[0][:60, :70], 4)
    ends = bitstream.read(data).ends
    arrived = 0

    def chunks() -> Iterator[bytes]:
        nonlocal arrived
        for size in [*sizes, len(data)]:
            chunk = data[arrived : arrived + size]
            arrived += len(chunk)
            yield chunk

    whole = list(context_compressor.decode(bitstream.read(data)))
    boundaries = np.cumsum([0, *sizes, len(data)])
    for end, expected, picture in zip(
        ends, whole, rnncodec.decompress_layers(chunks(), model=context_weights), strict=True
    ):
        assert np.array_equal(picture, expected)
        assert arrived == min(len(data), boundaries[np.searchsorted(boundaries, end)])  # no more than it needs


def test_stream_that_ends_early_or_is_foreign_is_handled_like_such_a_file(
    context_weights: Path, context_compressor: TorchCodec, photos: list[Pixels]
) -> None:
    data = context_compressor.compress(photos[0][:60, :70], 3)
    ends = bitstream.read(data).ends
    for cut in range(len(data)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            layers = sum(end <= cut for end in ends)
            if layers:
                assert len(list(rnncodec.decompress_layers([data[:cut]], model=context_weights))) == layers
                assert f"decoded {layers} of 3 layers" in str(caught[0].message)
            else:
                with pytest.raises(FormatError):
                    next(rnncodec.decompress_layers([data[:cut]], model=context_weights))
    with pytest.raises(FormatError, match="not an rnncodec file"):
        next(rnncodec.decompress_layers([b"P", b"NG"]))
    with pytest.raises(FormatError, match="more than the limit"):
        next(rnncodec.decompress_layers([data], model=context_weights, max_pixels=100))


def test_unknown_device_is_refused(tiny_config: CodecConfig) -> None:
    with pytest.raises(ConfigurationError, match="warp-drive"):
        TorchCodec(IterativeCodec(tiny_config), "warp-drive")
    with pytest.raises(ConfigurationError, match="device 'meta' cannot be used"):
        TorchCodec(IterativeCodec(tiny_config), "meta")


def test_a_tiny_file_that_claims_a_huge_picture_is_refused_before_memory_is_taken(context_weights: Path) -> None:
    model = TorchCodec(rnncodec.load_model(context_weights))
    header = bitstream.Header(model.identity, model.coder, 65_535, 65_535, model.bits, 1)
    data = bitstream.write(header, [b"\x01\x02\x03"])
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="65535×65535 pixels are more than the limit"):
            rnncodec.decompress(data, model=context_weights)
        with pytest.raises(FormatError, match="too few for a picture of the size"):
            rnncodec.decompress(data, model=context_weights, max_pixels=2**32)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_pictures_beyond_the_limit_are_refused_and_the_limit_can_be_raised(
    photos: list[Pixels], tiny_weights: Path
) -> None:
    height, width = photos[0].shape[:2]
    image = Image.fromarray(photos[0])
    with pytest.raises(ImageError, match="raise the limit with --max-pixels"):
        rnncodec.compress(image, model=tiny_weights, max_pixels=height * width - 1)
    data = rnncodec.compress(image, model=tiny_weights, iterations=1, max_pixels=height * width)
    with pytest.raises(FormatError, match="more than the limit"):
        rnncodec.decompress(data, model=tiny_weights, max_pixels=height * width - 1)
    assert rnncodec.decompress(data, model=tiny_weights, max_pixels=height * width).size == image.size


def test_weights_written_anew_are_used_at_once(tiny_config: CodecConfig, photos: list[Pixels], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    identities = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        save_model(IterativeCodec(tiny_config), path, training={"iterations": 1}, half=False)
        data = rnncodec.compress(Image.fromarray(photos[0]), model=path, iterations=1)
        identities.append(bitstream.read(data).header.model)
    assert identities[0] != identities[1]
