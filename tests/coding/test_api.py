"""What programs around rnncodec may do: threads, forks, modes of torch, images in any state."""

import io
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import rnncodec
import rnncodec.pillow
from rnncodec.coding.torch_codec import load_torch_codec
from rnncodec.errors import FormatError, ImageError, RnncodecError, WrongModelError
from rnncodec.fileformat import bitstream
from rnncodec.pictures.pixels import Pixels
from rnncodec.weights.weights_file import load_model
from tests.commands import Command

FORKS = """
import os, sys
import torch
from PIL import Image
import rnncodec
torch.set_num_threads(2)
image = Image.effect_noise((320, 320), 50)
data = rnncodec.compress(image, model=sys.argv[1], iterations=1)
child = os.fork()
if not child:
    rnncodec.decompress(data, model=sys.argv[1])
    os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_codes_too(context_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "forks.py").write_text(FORKS)
    done = Command(tmp_path / "forks.py", context_weights, environment=os.environ).wait(60)
    assert done.stdout.strip() == "3", done.stderr


def test_weights_are_the_same_in_any_mode_of_torch(photos: list[Pixels], context_weights: Path) -> None:
    image = Image.fromarray(photos[0][:48, :64])
    wanted = rnncodec.compress(image, model=context_weights, iterations=2, effort=1)
    load_torch_codec.__globals__["_load_torch_codec"].cache_clear()
    with torch.inference_mode():
        assert rnncodec.compress(image, model=context_weights, iterations=2, effort=1) == wanted
    assert rnncodec.compress(image, model=context_weights, iterations=2, effort=1) == wanted
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            codec = load_model(context_weights)
    finally:
        torch.set_default_dtype(default)
    assert {(value.dtype, value.device.type) for value in codec.parameters()} == {(torch.float32, "cpu")}


def test_images_in_any_state_are_compressed_or_refused_in_a_sentence(photos: list[Pixels], tiny_weights: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photos[0]).save(buffer, "PNG")
    closed = Image.open(io.BytesIO(buffer.getvalue()))
    closed.close()
    for image, message in (
        (Image.new("RGB", (0, 5)), "the image has no pixels"),
        (Image.open(io.BytesIO(buffer.getvalue()[:2000])), "the image cannot be read"),
        (closed, "the image cannot be read"),
        (photos[0], "ndarray is no image and no name of a file"),
    ):
        with pytest.raises(ImageError, match=message):
            rnncodec.compress(image, model=tiny_weights, bpp=1)  # type: ignore[arg-type]


def test_what_is_lost_is_said_in_warnings(photos: list[Pixels], tiny_weights: Path) -> None:
    image = Image.fromarray(photos[0][:40, :40])
    image.info["exif"] = b"nothing"
    with pytest.warns(UserWarning, match="EXIF data that are not a TIFF stream are left out"):
        rnncodec.compress(image, model=tiny_weights, iterations=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rnncodec.compress(image, model=tiny_weights, iterations=1, strip=True)


def test_more_layers_than_can_be_decoded_are_not_written(tiny_weights: Path) -> None:
    image = Image.new("RGB", (64, 64))
    with pytest.raises(ImageError, match=r"its 200 layers of 64×64 pixels .* ask for fewer"):
        rnncodec.compress(image, model=tiny_weights, iterations=200, max_pixels=64 * 64)
    data = rnncodec.compress(image, model=tiny_weights, iterations=200)
    with pytest.raises(FormatError, match="ask for fewer"):
        rnncodec.decompress(data, model=tiny_weights, max_pixels=64 * 64)
    cut = bitstream.read(data).ends[1]
    with pytest.warns(UserWarning, match="decoding 1 layer: it was cut"):
        rnncodec.decompress(data[:cut], model=tiny_weights, max_pixels=64 * 64, layers=1)


def test_a_file_of_the_name_of_released_weights_does_not_take_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("light").write_text("notes")
    assert load_model("light").trained_iterations
    with pytest.raises(RnncodecError, match="not a readable safetensors file"):
        load_model("./light")


def test_a_wrong_header_says_what_is_wrong(photos: list[Pixels], context_weights: Path) -> None:
    data = rnncodec.compress(Image.fromarray(photos[0][:40, :40]), model=context_weights, iterations=1)
    file = bitstream.read(data)
    for change, message in (
        ({"bits": file.header.bits + 1}, f"its header says {file.header.bits + 1} bits a position"),
        ({"coder": bitstream.RAW}, f"by coder {bitstream.RAW}, with which it writes no files"),
        ({"model": b"else"}, "which is not the one at hand"),
    ):
        wrong = bitstream.write(bitstream.Header(**{**vars(file.header), **change}), [b""])
        with pytest.raises(WrongModelError, match=message):
            rnncodec.decompress(wrong, model=context_weights)


def test_the_metadata_of_a_region_are_those_of_its_size(photos: list[Pixels], tiny_weights: Path) -> None:
    exif = Image.Exif()
    exif[0x0100] = 64
    image = Image.fromarray(photos[0][:48, :64])
    image.info["exif"] = exif.tobytes()
    data = rnncodec.compress(image, model=tiny_weights, iterations=1)
    part = rnncodec.decompress(data, model=tiny_weights, region=(0, 0, 32, 16))
    assert part.getexif()[0x0100] == 32


def test_a_copy_by_pickle_is_whole(photos: list[Pixels], tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rnncodec.pillow, "MODEL", tiny_weights)
    data = rnncodec.compress(Image.fromarray(photos[0][:40, :40]), model=tiny_weights, iterations=1)
    image = Image.open(io.BytesIO(data))
    copy = pickle.loads(pickle.dumps(image))
    copy.verify()
    assert np.array_equal(np.asarray(copy), np.asarray(image))
