"""The search for better codes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import rnncodec
import rnncodec.pillow
from rnncodec.cli import app
from rnncodec.coding import code_search
from rnncodec.coding.code_search import CodesLoss, LayerSearch, distortion, patches, search_codes
from rnncodec.coding.targets import Target
from rnncodec.coding.torch_codec import TorchCodec, load_torch_codec
from rnncodec.entropy.networks import Network, dequantize
from rnncodec.errors import ConfigurationError
from rnncodec.evaluation.measure import measure
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec, State
from rnncodec.pictures.pixels import Pixels
from rnncodec.pictures.tiles import Tiling

ITERATIONS = 3


@pytest.fixture(scope="module")
def network(context_codec: IterativeCodec) -> Network:
    assert context_codec.context is not None
    return dequantize(context_codec.context)


@pytest.mark.parametrize("compressed", [True, False])
def test_more_effort_lowers_the_loss(
    context_codec: IterativeCodec, network: Network, images: Tensor, compressed: bool
) -> None:
    loss = CodesLoss(distortion(context_codec), network if compressed else None, images)
    codec = context_codec.requires_grad_(False)
    losses = [loss.mean(list(codec.iterate(images, ITERATIONS)))]
    losses += [loss.mean(search_codes(codec, loss.context, images, ITERATIONS, level)) for level in (1, 3)]
    assert losses[0] > losses[1] >= losses[2], losses


@torch.no_grad()
@pytest.mark.parametrize("compressed", [True, False])
def test_the_loss_of_two_layers_at_once_is_that_of_each(
    context_codec: IterativeCodec, network: Network, images: Tensor, compressed: bool
) -> None:
    loss = CodesLoss(distortion(context_codec), network if compressed else None, images)
    codes, reconstructions = context_codec(images, 3)
    spent = torch.tensor(0.7)
    losses, bits = loss(reconstructions[1:], codes, spent)
    (second,), (after_second,) = loss(reconstructions[1:2], codes[:2], spent)
    (third,), (after_third,) = loss(reconstructions[2:], codes, after_second)
    torch.testing.assert_close(losses, torch.stack([second, third]))
    torch.testing.assert_close(bits, torch.stack([after_second, after_third]))


def test_the_last_layer_of_a_file_looks_at_none_behind_it(
    context_codec: IterativeCodec, network: Network, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    losses = LayerSearch.losses

    def count(self: LayerSearch, codes: Tensor, state: State) -> tuple[Tensor, Tensor]:
        found = losses(self, codes, state)
        seen.append(len(found[0]))
        return found

    monkeypatch.setattr(LayerSearch, "losses", count)
    monkeypatch.setattr(code_search, "LEVELS", {1: (2, 0.02)})
    search_codes(context_codec.requires_grad_(False), network, images, ITERATIONS, effort=1)
    assert seen == [2, 2, 2, 2, 1, 1]


def test_codes_that_the_search_makes_worse_are_not_taken(
    context_codec: IterativeCodec, network: Network, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = context_codec.requires_grad_(False)
    monkeypatch.setattr(LayerSearch, "choose", lambda self, activations, state: -torch.ones_like(activations))
    found = search_codes(codec, network, images, ITERATIONS, effort=1)
    plain = codec.iterate(images, ITERATIONS)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(found, plain, strict=True))


@pytest.mark.parametrize("side", [64, 4])
def test_any_decoder_reads_a_file_of_searched_codes(
    context_codec: IterativeCodec, photos: list[Pixels], side: int
) -> None:
    torch_codec = TorchCodec(context_codec, tiling=Tiling(side, halo=2))
    done: list[float] = []
    plain, searched = (
        torch_codec.compress(photos[0][:80, :112], ITERATIONS, on_work=done.append, effort=level) for level in (0, 1)
    )
    assert plain != searched
    assert sum(done) == pytest.approx(2 * ITERATIONS)
    pictures = list(TorchCodec(context_codec).decode(bitstream.read(searched)))
    assert len(pictures) == ITERATIONS
    assert pictures[-1].shape == (80, 112, 3)


@pytest.fixture(scope="module")
def photo(photos: list[Pixels]) -> Pixels:
    return photos[1][:80, :112]


@pytest.fixture(scope="module")
def whole(context_codec: IterativeCodec, photo: Pixels) -> bytes:
    """A file of all layers, with effort."""
    return TorchCodec(context_codec).compress(photo, ITERATIONS, effort=1)


def test_a_target_is_met_with_effort(context_codec: IterativeCodec, photo: Pixels, whole: bytes) -> None:
    ends = bitstream.read(whole).ends
    content = TorchCodec(context_codec).compress(photo, ITERATIONS, target=Target(max_bytes=ends[1]), effort=1)
    assert len(content) <= ends[1]


def test_a_file_that_turned_out_to_need_more_layers_is_written_anew(
    context_codec: IterativeCodec, photo: Pixels, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With effort the codes of a layer depend on the number of layers. All of a file come from one search."""
    monkeypatch.setattr(TorchCodec, "_estimate", lambda *_: 1)
    target = Target(max_bytes=10 * len(whole))
    assert TorchCodec(context_codec).compress(photo, ITERATIONS, target=target, effort=1) == whole


def test_every_way_to_compress_searches(context_weights: Path, photos: list[Pixels], tmp_path: Path) -> None:
    image = Image.fromarray(photos[0][:48, :64])
    image.save(tmp_path / "photo.png")
    options: dict[str, Any] = {"iterations": 2, "model": str(context_weights)}
    plain, searched = (rnncodec.compress(image, effort=level, **options) for level in (0, 2))
    assert plain != searched
    image.save(tmp_path / "pillow.rnnc", effort=2, **options)
    assert (tmp_path / "pillow.rnnc").read_bytes() == searched
    command = [
        "compress",
        str(tmp_path / "photo.png"),
        "--effort",
        "2",
        "--iterations",
        "2",
        "--model",
        options["model"],
    ]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (tmp_path / "photo.rnnc").read_bytes() == searched


def test_an_effort_that_does_not_exist_is_refused(context_codec: IterativeCodec, photos: list[Pixels]) -> None:
    with pytest.raises(ConfigurationError, match="effort must be from 0 to 3, not 4"):
        TorchCodec(context_codec).compress(photos[0], 1, effort=4)


def test_the_search_minimises_what_the_network_was_trained_for(photos: list[Pixels]) -> None:
    squared, light = (distortion(rnncodec.load_model(name)) for name in ("light-mse", "light"))
    assert (squared.share.share, squared.hvs_share) == (0, 0)
    assert (light.share.share, light.hvs_share) == (0.9, 0.7)
    codec = load_torch_codec("light-mse")
    plain, searched = (measure(codec, photos[0], 2, effort=level)[-1] for level in (0, 1))
    assert searched.psnr > plain.psnr
    assert searched.bytes <= 1.01 * plain.bytes


@pytest.mark.parametrize("options", [None, [], {"loss": None}, {"loss": {"_target_": "rnncodec.distortion.losses.L1"}}])
def test_the_search_for_a_network_of_another_loss_is_that_for_light(options: object) -> None:
    codec = rnncodec.IterativeCodec(rnncodec.CodecConfig(width=0.05))
    codec.training_info = {"options": options}
    assert distortion(codec).share.share == 0.9


@pytest.mark.parametrize(("height", "width"), [(16, 32), (256, 512), (272, 256), (528, 1040)])
def test_patches_hold_every_pixel(height: int, width: int) -> None:
    images = torch.arange(2.0 * 3 * height * width).view(2, 3, height, width)
    cut = patches(images)
    assert max(cut.shape[2:]) <= code_search.PATCH
    assert cut[:, 0].numel() <= 1.02 * images[:, 0].numel()
    assert np.array_equal(np.unique(cut.numpy()), np.unique(images.numpy()))
