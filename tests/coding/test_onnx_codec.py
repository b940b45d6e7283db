"""Files are decoded by an exported network, without torch, as by the network it was exported from."""

import json
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import rnncodec
from rnncodec.api import decoder_for
from rnncodec.coding.onnx_codec import (
    CONTEXT,
    DECODER,
    ENCODER,
    MODEL,
    PIXELS,
    OnnxDecoder,
    numbered,
    session,
    step,
    zeros,
)
from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.entropy.layer_coder import LayerCoder
from rnncodec.errors import ConfigurationError, ModelError, WrongModelError
from rnncodec.fileformat import bitstream
from rnncodec.network.codec import IterativeCodec
from rnncodec.pictures.pixels import Pixels
from rnncodec.pictures.tiles import Tiling

pytest.importorskip("onnxruntime")

LAYERS = 3
TILES = Tiling(side=4, halo=2)
STATES = "encoder_states", "decoder_states", "sums"


@pytest.fixture(scope="module")
def photo(photos: list[Pixels]) -> Pixels:
    return photos[0][:150, :170]


@pytest.fixture(scope="module")
def in_torch(folded_codec: IterativeCodec) -> TorchCodec:
    return TorchCodec(folded_codec, dtype=torch.float32)


@pytest.fixture(scope="module")
def data(in_torch: TorchCodec, photo: Pixels) -> bytes:
    return in_torch.compress(photo, LAYERS)


def differ(a: Pixels, b: Pixels) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_pictures_are_those_of_torch(exported: Path, in_torch: TorchCodec, data: bytes) -> None:
    file, decoder = bitstream.read(data), OnnxDecoder(exported)
    for found, wanted in zip(decoder.decode(file), in_torch.decode(file), strict=True):
        assert differ(found, wanted) <= 1
    for found, codes in zip(
        decoder.codes(file.header, file.layers), in_torch.codes(file.header, file.layers), strict=True
    ):
        assert np.array_equal(found, codes)


def test_a_file_of_24_layers_is_decoded_up_to_any_of_them(exported: Path, in_torch: TorchCodec, photo: Pixels) -> None:
    file, decoder = bitstream.read(in_torch.compress(photo, 24)), OnnxDecoder(exported)
    assert decoder.model["iterations"] == 24
    shown = list(decoder.decode(file))
    for layers, found in enumerate(shown, start=1):
        wanted = in_torch.picture(file.header, file.layers[:layers])
        assert wanted is not None
        assert differ(found, wanted) <= 1
    assert len(shown) == 24


def test_where_the_last_picture_is_wanted_the_others_are_not_computed(
    exported: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, computed = OnnxDecoder(exported), []
    picture_of = OnnxDecoder.picture_of

    def counted(self: OnnxDecoder, sums: list[np.ndarray]) -> np.ndarray:
        computed.append(sums)
        return picture_of(self, sums)

    monkeypatch.setattr(OnnxDecoder, "picture_of", counted)
    file = bitstream.read(data)
    found = decoder.picture(file.header, file.layers)
    assert len(computed) == 1
    *_, wanted = decoder.decode(file)
    assert len(computed) == 1 + LAYERS
    assert found is not None
    assert np.array_equal(found, wanted)


def test_the_picture_of_the_graphs_is_that_of_the_loop_but_for_rounding(
    exported: Path, folded_codec: IterativeCodec
) -> None:
    codec = TorchCodec(folded_codec, dtype=torch.float32).codec
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(0, 2, (24, 1, codec.config.bits, 3, 5), generator=generator, dtype=torch.int8) * 2 - 1
    pictures = OnnxDecoder(exported).decode_codes(codes[:, 0].numpy())
    for found, wanted in zip(pictures, codec.decode(codes), strict=True):
        assert np.abs(found + np.float32(0.5) - wanted.numpy()).max() < 1e-5


def test_large_pictures_are_decoded_in_the_same_tiles(
    exported: Path, folded_codec: IterativeCodec, data: bytes
) -> None:
    file = bitstream.read(data)
    found = OnnxDecoder(exported, TILES).picture(file.header, file.layers)
    wanted = TorchCodec(folded_codec, tiling=TILES, dtype=torch.float32).picture(file.header, file.layers)
    assert found is not None
    assert wanted is not None
    assert differ(found, wanted) <= 1


def test_a_file_that_the_graphs_encode_decodes_to_its_codes_everywhere(
    exported: Path, in_torch: TorchCodec, photo: Pixels
) -> None:
    """The codes may be others than torch finds: rounding decides the sign of a number very near 0."""
    decoder = OnnxDecoder(exported)
    encoder = session(exported / ENCODER, threads=1)
    image = in_torch.images(photo).numpy()
    previous = np.zeros_like(image)
    h, w = image.shape[-2] // 16, image.shape[-1] // 16
    encoding, decoding, sums = (zeros(decoder.model[kind], h, w) for kind in STATES)
    written, config = [], decoder.model["config"]
    for t in range(LAYERS):
        (codes,) = step(encoder, config, t, {"picture": image - np.float32(0.5), "previous": previous}, encoding)
        sums = step(decoder.decoder, config, t, {"codes": codes} | numbered("sum", sums), decoding)
        previous = decoder.picture_of(sums)
        written.append(codes[0].astype(np.int8))
    coder = LayerCoder(in_torch.context)
    payloads = [coder.encode(codes) for codes in written]
    file = bitstream.read(in_torch._file(photo, payloads, []))
    for reader in (decoder, in_torch):
        assert np.array_equal(list(reader.codes(file.header, file.layers)), written)
    *_, found = decoder.decode(file)
    *_, wanted = in_torch.decode(file)
    assert differ(found, wanted) <= 1


def test_command_decompresses_without_torch(exported: Path, in_torch: TorchCodec, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.rnnc").write_bytes(data)
    start = "import sys; sys.modules['torch'] = None; from rnncodec.cli import main; main()"
    given = ["decompress", tmp_path / "photo.rnnc", "--model", exported]
    subprocess.run([sys.executable, "-c", start, *given], check=True, timeout=120)
    *_, wanted = in_torch.decode(bitstream.read(data))
    assert differ(np.asarray(Image.open(tmp_path / "photo.png")), wanted) <= 1


def test_functions_take_the_folder(exported: Path, in_torch: TorchCodec, data: bytes) -> None:
    wanted = list(in_torch.decode(bitstream.read(data)))
    assert differ(np.asarray(rnncodec.decompress(data, model=exported)), wanted[-1]) <= 1
    pictures = list(islice(rnncodec.decompress_layers([data], model=exported), LAYERS))
    assert all(differ(np.asarray(found), each) <= 1 for found, each in zip(pictures, wanted, strict=True))


def test_what_cannot_work_is_refused(exported: Path, tiny_codec: IterativeCodec, data: bytes, tmp_path: Path) -> None:
    header = bitstream.read(data).header
    with pytest.raises(ConfigurationError, match="runs on the CPU, not on 'cuda'"):
        decoder_for(header, str(exported), "cuda")
    with pytest.raises(WrongModelError):
        rnncodec.decompress(TorchCodec(tiny_codec).compress(np.zeros((16, 16, 3), np.uint8), 1), model=exported)
    model = json.loads((exported / MODEL).read_text())
    shutil.copy(exported / CONTEXT, tmp_path)
    older = model | {"format": "rnncodec-onnx-1"}
    (tmp_path / MODEL).write_text(json.dumps(older))
    with pytest.raises(ModelError, match="rnncodec-onnx-1, not rnncodec-onnx-2; export the network anew"):
        OnnxDecoder(tmp_path)
    for changed in (model | {"format": "other"}, {}, model | {"context": model["context"] | {"name": "other"}}):
        (tmp_path / MODEL).write_text(json.dumps(changed))
        with pytest.raises(ModelError, match=MODEL):
            OnnxDecoder(tmp_path)
    shutil.copy(exported / MODEL, tmp_path)
    (tmp_path / CONTEXT).write_bytes((exported / CONTEXT).read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"context\.bin must have .* bytes"):
        OnnxDecoder(tmp_path)
    shutil.copy(exported / CONTEXT, tmp_path)
    (tmp_path / DECODER).write_bytes(b"no graph")
    with pytest.raises(ModelError, match=DECODER):
        OnnxDecoder(tmp_path)


DEEP: Any = []
for _ in range(900):
    DEEP = [DEEP]


def changed(model: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """``model`` with another value, or, where it is MISSING, without the value, at ``path``."""
    copied = json.loads(json.dumps(model))
    *outer, last = path.split("/")
    inner = copied
    for name in outer:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    if value is MISSING:
        del inner[last]
    else:
        inner[last] = value
    return copied


MISSING = object()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("context/tensors/window/type", "O"),
        ("context/tensors/window/type", "int64"),
        ("context/tensors/window/type", "float32"),
        ("context/tensors/window/type", ["int16"]),
        ("context/tensors/window/offset", -8),
        ("context/tensors/window/offset", 2**63),
        ("context/tensors/window/offset", "0"),
        ("context/tensors/window/shape", [2**40]),
        ("context/tensors/window/shape", [-1, 1]),
        ("context/tensors/window", 7),
        ("context/tensors/window", MISSING),
        ("context/tensors/other", {"type": "int16", "shape": [1], "offset": 0}),
        ("context/tensors", []),
        ("context/config/hidden", [4096, 4096]),
        ("context/config/radius", 10**9),
        ("context/config/bits", 31),
        ("context/config", None),
        ("context/name", ["checkerboard"]),
        ("context/name", "binary_rnn"),
        ("context/coder", 3),
        ("context", None),
        ("context", MISSING),
        ("context", "none"),
        ("identities", None),
        ("identities", {"0": "00000000"}),
        ("identities/1", "xx"),
        ("identities/1", "00"),
        ("identities/1", 7),
        ("config/priming", "many"),
        ("config/priming", 10**9),
        ("config/diffusion", 1e9),
        ("config/diffusion", MISSING),
        ("config/bits", 0),
        ("config/bits", 31),
        ("config", []),
        ("config", DEEP),
        ("decoder_states", None),
        ("decoder_states", [{"channels": [2**30], "scale": 1}]),
        ("decoder_states/0/channels", []),
        ("decoder_states/0/channels", [2**19]),
        ("decoder_states/0/scale", 2**62),
        ("decoder_states/0/scale", -1),
        ("decoder_states", [None]),
        ("sums", MISSING),
        ("sums", []),
        ("sums/0/channels", [7]),
        ("sums/0/scale", 2**62),
        ("iterations", 0),
        ("stride", 1),
    ],
)
def test_a_description_that_no_export_writes_is_refused(exported: Path, tmp_path: Path, path: str, value: Any) -> None:
    for name in (CONTEXT, DECODER, PIXELS):
        shutil.copy(exported / name, tmp_path)
    model = json.loads((exported / MODEL).read_text())
    (tmp_path / MODEL).write_text(json.dumps(changed(model, path, value)))
    with pytest.raises(ModelError):
        OnnxDecoder(tmp_path)


@pytest.mark.parametrize(("replaced", "other"), [(DECODER, ENCODER), (DECODER, PIXELS), (PIXELS, DECODER)])
def test_a_graph_that_is_another_one_is_refused(
    exported: Path, data: bytes, tmp_path: Path, replaced: str, other: str
) -> None:
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    shutil.copy(exported / other, tmp_path / replaced)
    with pytest.raises(ModelError, match=rf"{replaced}|the graph of the exported network"):
        rnncodec.decompress(data, model=tmp_path)


def test_a_graph_may_not_name_other_files(exported: Path, data: bytes, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    for name in (CONTEXT, MODEL, PIXELS):
        shutil.copy(exported / name, tmp_path)
    graph = onnx.load(exported / DECODER)
    onnx.save(graph, tmp_path / DECODER, save_as_external_data=True, location="numbers.bin", size_threshold=0)
    assert (tmp_path / "numbers.bin").is_file()
    with pytest.raises(ModelError, match=r"decoder\.onnx cannot be loaded"):
        rnncodec.decompress(data, model=tmp_path)
