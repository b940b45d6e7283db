"""The page: what it decodes and compresses equals Python's, and it shows a picture before the file has arrived."""

import base64
import hashlib
import io
import re
import zlib
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from PIL.ExifTags import Base

from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.entropy.interface import ONE, Bits, Codes, Groups
from rnncodec.entropy.layer_coder import LayerCoder
from rnncodec.fileformat import bitstream
from rnncodec.fileformat.metadata import Metadata
from rnncodec.network.codec import IterativeCodec
from rnncodec.pictures.pillow_metadata import metadata_of
from rnncodec.pictures.pixels import Pixels, over_white, srgb_profile, to_pixels, to_pixels_and_alpha
from rnncodec.pictures.transparency import pack_alpha, unpack_alpha, with_alpha
from tests.export.web.conftest import Site, eventually
from tests.fileformat import version_1
from tests.pictures.test_exif import camera_exif

LAYERS = 3
DONE = "body[data-done]"
ENDED = "body[data-done], #error:not([hidden])"


@pytest.fixture(scope="module")
def photo(photos: list[Pixels]) -> Pixels:
    return photos[0][:70, :100]  # no whole number of positions


@pytest.fixture(scope="module")
def data(folded_codec: IterativeCodec, photo: Pixels) -> bytes:
    return TorchCodec(folded_codec, dtype=torch.float32).compress(photo, LAYERS)


def hashes(codec: IterativeCodec, data: bytes) -> list[str]:
    """The first half of the SHA-256 of the codes of each layer."""
    file = bitstream.read(data)
    layers: list[Codes] = list(TorchCodec(codec).codes(file.header, file.layers))
    return [hashlib.sha256(codes.tobytes()).hexdigest()[:16] for codes in layers]


def table(page: Any) -> list[list[str]]:
    """The layers, as the page lists them: number, bytes, bpp, hash."""
    rows = page.locator("#table tr").all()
    return [[cell.text_content() for cell in row.locator("td").all()] for row in rows]


def picture(page: Any) -> Pixels:
    """What the canvas shows."""
    url = page.evaluate("document.getElementById('picture').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def differ(a: Pixels, b: Pixels) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def give(page: Any, name: str, content: bytes) -> None:
    page.evaluate("document.getElementById('error').hidden = true; delete document.body.dataset.done")
    page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": content})


def saved(page: Any) -> bytes:
    """The file that the page saves."""
    with page.expect_download() as download:
        page.click("#save")
    return Path(download.value.path()).read_bytes()


def encoded(image: Image.Image, format_name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def shows_layer(page: Any, number: int) -> None:
    page.wait_for_selector(f"canvas[data-layer='{number}']", timeout=30_000)


def test_picture_sharpens_while_the_file_arrives(
    site: Site, folded_codec: IterativeCodec, data: bytes, photo: Pixels
) -> None:
    ends = bitstream.read(data).ends
    cuts = [0, ends[0] // 2, ends[0], ends[1], len(data) - 1, len(data)]
    site.server.send_slowly("photo.rnnc", [data[a:b] for a, b in pairwise(cuts)])
    page = site.open("?src=photo.rnnc")
    wanted = list(TorchCodec(folded_codec, dtype=torch.float32).decode(bitstream.read(data)))
    site.server.gate.release()
    assert eventually(lambda: "have arrived" in page.locator("#status").inner_text())
    assert page.locator("#result").is_hidden()  # the first layer is not whole
    seen = []
    for number in (1, 2):
        site.server.gate.release()
        shows_layer(page, number)
        assert site.server.sent < len(data)
        seen.append(picture(page))
        assert differ(seen[-1], wanted[number - 1]) <= 1
    assert differ(*seen) > 1
    for _ in range(2):
        site.server.gate.release()
    page.wait_for_selector(DONE, timeout=30_000)
    assert [row[3] for row in table(page)] == hashes(folded_codec, data)
    assert [row[1] for row in table(page)] == [f"{end:,}" for end in ends]
    assert differ(picture(page), wanted[-1]) <= 1
    assert picture(page).shape == photo.shape
    assert site.complaints == []
    assert site.foreign == []


def test_layers_behind_which_others_wait_get_their_pictures_when_they_are_chosen(
    site: Site, folded_codec: IterativeCodec, photo: Pixels
) -> None:
    torch_codec, most = TorchCodec(folded_codec, dtype=torch.float32), 24
    alpha = np.tile(np.linspace(255, 200, photo.shape[1]).astype(np.uint8), (photo.shape[0], 1))
    data = torch_codec.compress(photo, most, metadata=Metadata(alpha=pack_alpha(alpha)[0]))
    wanted = [with_alpha(pixels, alpha) for pixels in torch_codec.decode(bitstream.read(data))]
    page = site.page
    page.evaluate(
        """window.drawn = []; new MutationObserver(
            () => window.drawn.push(document.getElementById("picture").dataset.layer)
        ).observe(document.getElementById("picture"), {attributeFilter: ["data-layer"]})"""
    )
    give(page, "deep.rnnc", data)
    page.wait_for_selector(DONE, timeout=30_000)
    drawn = page.evaluate("window.drawn")
    assert (drawn[0], drawn[-1]) == ("1", str(most))
    assert len(set(drawn)) < most
    assert [row[3] for row in table(page)] == hashes(folded_codec, data)
    assert page.locator("#layer").get_attribute("max") == str(most)
    for layer in range(most, 0, -4):
        page.locator("#layer").fill(str(layer))
        shows_layer(page, layer)
        assert f"layer {layer} of {most}" in page.locator("#caption").inner_text()
        url = page.evaluate("document.getElementById('picture').toDataURL('image/png')")
        shown = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
        assert differ(np.asarray(shown), np.asarray(wanted[layer - 1])) <= 2  # the canvas holds colours times alpha
    assert page.locator("#save-png").is_enabled()
    assert site.complaints == []


def guessed(beginning: bytes, groups: Groups, count: int) -> Bits:
    """The bits that the beginning of a code word determines, then the likelier value of each."""
    bits = np.zeros(count, np.uint8)
    size, offset, read = 2**64 - 1, int.from_bytes(beginning[:8], "big"), 8
    indices, frequencies = next(groups)
    with suppress(StopIteration):
        while True:
            for index, ones in zip(indices.tolist(), frequencies.tolist(), strict=True):
                likelier, unlikely = int(ones >= ONE // 2), min(ones, ONE - ones)
                bits[index] = likelier
                if read > len(beginning):
                    continue
                unit = size >> 24 << 8
                if offset >= unit * unlikely:
                    offset, size = offset - unit * unlikely, unit * (ONE - unlikely)
                else:
                    bits[index], size = 1 - likelier, unit * unlikely
                if size < 2**32:
                    word = int.from_bytes(beginning[read : read + 4], "big")
                    offset, size, read = offset << 32 | word, size << 32, read + 4
            indices, frequencies = groups.send(bits[indices])
    return bits


def test_preview_shows_while_the_first_layer_arrives(
    wide_site: Site, wide_codec: IterativeCodec, photo: Pixels
) -> None:
    torch_codec = TorchCodec(wide_codec, dtype=torch.float32)
    data = torch_codec.compress(photo, LAYERS)
    file = bitstream.read(data)
    first, shape = file.layers[0], file.header.shape
    assert len(first) < file.header.raw_size  # it is a code word
    start = file.ends[0] - len(first)
    part = first[: 7 * len(first) // 10]
    assert wide_codec.context is not None
    bits = guessed(part, wide_codec.context.start().groups(*shape[1:]), int(np.prod(shape)))
    likely = LayerCoder(wide_codec.context).encode((2 * bits.astype(np.int8) - 1).reshape(shape))
    wanted = next(torch_codec.decode(bitstream.read(bitstream.write(replace(file.header, layers=1), [likely]))))
    whole = next(torch_codec.decode(file))
    assert differ(wanted, whole) > 2

    cuts = [0, start + 2 * len(first) // 5, start + len(part), file.ends[0], len(data)]
    wide_site.server.send_slowly("photo.rnnc", [data[a:b] for a, b in pairwise(cuts)])
    page = wide_site.open("?src=photo.rnnc")
    wide_site.server.gate.release()
    assert eventually(lambda: f"{cuts[1]:,} bytes of" in page.locator("#status").inner_text())
    assert page.locator("#result").is_hidden()
    wide_site.server.gate.release()
    page.wait_for_selector("#caption:has-text('a part of layer 1'):visible", timeout=30_000)
    assert f"the first {cuts[2]:,} bytes" in page.locator("#caption").inner_text()
    assert differ(picture(page), wanted) <= 1
    assert table(page) == []
    wide_site.server.gate.release()
    shows_layer(page, 1)
    assert differ(picture(page), whole) <= 1
    wide_site.server.gate.release()
    page.wait_for_selector(DONE, timeout=30_000)
    assert [row[3] for row in table(page)] == hashes(wide_codec, data)
    assert page.locator("#layer").is_enabled()

    give(page, "cut.rnnc", data[: cuts[2]])
    page.wait_for_selector("#error:has-text('No layer is whole: layer 1 of 3 was cut')", timeout=30_000)
    assert differ(picture(page), wanted) <= 1
    assert page.locator("#save").is_disabled()


def test_file_of_version_1_opens_and_is_saved_in_the_present_version(site: Site, data: bytes) -> None:
    file = bitstream.read(data)
    page = site.page
    give(page, "older.rnnc", version_1.write(file.header, file.layers, Metadata(xmp=b"<x/>").blocks()))
    page.wait_for_selector("#save:enabled", timeout=30_000)
    assert page.locator("#error").is_hidden()
    assert len(table(page)) == LAYERS
    assert saved(page) == bitstream.write(file.header, file.layers, Metadata(xmp=b"<x/>").blocks())


def test_slider_goes_back_by_keyboard_and_the_file_is_saved_up_to_the_chosen_layer(site: Site, data: bytes) -> None:
    page = site.page
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390  # nothing sticks out
    page.evaluate("delete document.body.dataset.done")
    with page.expect_file_chooser() as chooser:
        page.focus("#choose")
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "photo.rnnc", "mimeType": "application/octet-stream", "buffer": data})
    page.wait_for_selector(DONE, timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.focus("#choose")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "layer"
    page.keyboard.press("ArrowLeft")
    end = bitstream.read(data).ends[1]
    assert f"layer 2 of {LAYERS}, {end:,} bytes" in page.locator("#caption").inner_text()
    page.keyboard.press("Tab")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "photo.rnnc"
    assert Path(download.value.path()).read_bytes() == bitstream.truncate(bitstream.read(data), end)
    assert page.locator("#beside").is_hidden()  # there is no photo to make a JPEG of


def test_photo_is_compressed_beside_a_jpeg_of_the_same_bytes(
    site: Site, folded_codec: IterativeCodec, photo: Pixels
) -> None:
    page = site.page
    give(page, "photo.png", encoded(Image.fromarray(photo), "PNG"))
    page.wait_for_selector(DONE, timeout=60_000)
    content = saved(page)
    rows = table(page)
    assert hashes(folded_codec, content) == [row[3] for row in rows]
    assert rows[-1][1] == f"{len(content):,}"
    torch_codec = TorchCodec(folded_codec, dtype=torch.float32)
    assert differ(picture(page), list(torch_codec.decode(bitstream.read(content)))[-1]) <= 1
    ours, wanted = bitstream.read(content), bitstream.read(torch_codec.compress(photo, len(rows)))
    assert ours.header == wanted.header
    assert ours.layers[0] == wanted.layers[0]  # later ones may differ in codes of numbers very near 0
    page.wait_for_selector("#beside:not([hidden])", timeout=30_000)
    found = re.match(r"JPEG: ([\d,]+) bytes", page.locator("#jpeg-caption").inner_text())
    assert found
    smallest = "smallest" in page.locator("#jpeg-caption").inner_text()
    assert smallest or int(found[1].replace(",", "")) <= len(content)
    assert site.foreign == []


def test_network_of_another_shape(wide_site: Site, wide_codec: IterativeCodec, photo: Pixels) -> None:
    torch_codec = TorchCodec(wide_codec, dtype=torch.float32)
    data = torch_codec.compress(photo, LAYERS)
    file = bitstream.read(data)
    assert file.header.coder == bitstream.RECURRENT_CONTEXT
    assert min(map(len, file.layers)) < file.header.raw_size  # not all of them are raw bits
    page = wide_site.page
    give(page, "photo.rnnc", data)
    page.wait_for_selector(DONE, timeout=60_000)
    assert [row[3] for row in table(page)] == hashes(wide_codec, data)
    assert differ(picture(page), list(torch_codec.decode(file))[-1]) <= 1
    give(page, "photo.png", encoded(Image.fromarray(photo), "PNG"))
    page.wait_for_selector(DONE, timeout=60_000)
    assert [row[3] for row in table(page)] == hashes(wide_codec, saved(page))


def test_files_of_another_model_are_opened_by_it_and_photos_are_compressed_by_the_own(
    new_site: Site, wide_codec: IterativeCodec, folded_codec: IterativeCodec, data: bytes, photo: Pixels
) -> None:
    def others() -> list[str]:
        return [name for name in new_site.server.requests if name.startswith("models/")]

    other = TorchCodec(wide_codec, dtype=torch.float32).compress(photo, LAYERS)
    page = new_site.page
    page.evaluate("navigator.serviceWorker.ready.then(() => 1)")
    give(page, "own.rnnc", data)
    page.wait_for_selector(DONE, timeout=60_000)
    assert others() == []
    for _ in range(2):
        give(page, "other.rnnc", other)
        page.wait_for_selector(DONE, timeout=60_000)
        assert [row[3] for row in table(page)] == hashes(wide_codec, other)
    loaded = others()
    assert len(loaded) == len(set(loaded)) == 4  # without its encoder, each once
    give(page, "photo.png", encoded(Image.fromarray(photo), "PNG"))
    page.wait_for_selector(DONE, timeout=60_000)
    assert [row[3] for row in table(page)] == hashes(folded_codec, saved(page))
    assert new_site.complaints == new_site.foreign == []

    new_site.context.set_offline(True)
    page.reload()
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    give(page, "other.rnnc", other)
    page.wait_for_selector(DONE, timeout=60_000)
    assert [row[3] for row in table(page)] == hashes(wide_codec, other)
    assert others() == loaded


def test_metadata_of_a_photo_are_kept_as_the_command_keeps_them(site: Site, photo: Pixels) -> None:
    image = Image.fromarray(photo[:40, :56])
    exif, xmp = camera_exif("<", 6, thumbnail_last=True), b'<x tiff:Orientation="6" xml:lang="\xc3\xa9"/>'
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    kept = {"exif": b"Exif\0\0" + exif, "icc_profile": srgb_profile()}
    photos = {
        "turned by XMP.jpg": encoded(image, "JPEG", xmp=xmp, icc_profile=srgb_profile()),
        "turned.jpg": encoded(image, "JPEG", **kept, xmp=xmp),
        "turned.webp": encoded(image, "WEBP", **kept, xmp=xmp),
        "turned.png": encoded(image, "PNG", exif=camera_exif(">", 6, thumbnail_last=False), pnginfo=text),
        "plain.png": encoded(image, "PNG"),
    }
    page = site.page
    for name, content in photos.items():
        original = Image.open(io.BytesIO(content))
        wanted, _ = metadata_of(original, to_pixels(original)[0])
        assert bool(wanted.xmp) == (name != "plain.png")
        give(page, name, content)
        page.wait_for_selector(DONE, timeout=60_000)
        file = bitstream.read(saved(page))
        assert (file.metadata, file.damage) == (wanted, None)
        assert (file.header.height, file.header.width) == to_pixels(original)[0].shape[:2]
    give(page, "turned.jpg", photos["turned.jpg"])
    page.wait_for_selector(DONE, timeout=60_000)
    whole = saved(page)
    give(page, "again.rnnc", whole)
    page.wait_for_selector(DONE, timeout=60_000)
    assert saved(page) == whole
    page.uncheck("#keep")
    assert saved(page) == bitstream.truncate(bitstream.read(whole), len(whole), strip=True)


def test_the_exif_data_of_a_png_file_may_have_the_prefix_of_jpeg(site: Site, photo: Pixels) -> None:
    content = encoded(Image.fromarray(photo[:40, :56]), "PNG", exif=camera_exif("<", 6, thumbnail_last=True))
    at = content.index(b"eXIf")
    chunk = b"eXIf" + b"Exif\0\0" + content[at + 4 :][: int.from_bytes(content[at - 4 : at], "big")]
    whole = len(chunk) - 4
    rest = content[at + 4 + whole - 6 + 4 :]
    changed = content[: at - 4] + whole.to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + rest
    wanted = to_pixels(Image.open(io.BytesIO(changed)))[0]
    assert wanted.shape[:2] == (56, 40)
    give(site.page, "prefix.png", changed)
    site.page.wait_for_selector(DONE, timeout=60_000)
    file = bitstream.read(saved(site.page))
    assert (file.header.height, file.header.width) == (56, 40)
    assert file.metadata.exif


def test_of_two_files_the_one_that_was_chosen_last_is_shown(
    site: Site, photo: Pixels, folded_codec: IterativeCodec
) -> None:
    data = TorchCodec(folded_codec, dtype=torch.float32).compress(photo[:32, :48], 1)
    page = site.page
    page.evaluate("""() => {
        const read = Blob.prototype.arrayBuffer;
        Blob.prototype.arrayBuffer = async function () {
            Blob.prototype.arrayBuffer = read; // the first call alone takes a second
            await new Promise((done) => setTimeout(done, 1000));
            return read.call(this);
        };
    }""")
    give(page, "first.rnnc", data)
    give(page, "second.rnnc", data)
    page.wait_for_timeout(1500)  # the first one has come, too
    page.wait_for_selector(DONE, timeout=60_000)
    assert (page.get_attribute("canvas", "aria-label") or "").startswith("second.rnnc")


def test_a_picture_with_a_side_that_no_canvas_has_is_refused(site: Site, folded_codec: IterativeCodec) -> None:
    codec = TorchCodec(folded_codec, dtype=torch.float32)
    header = bitstream.Header(codec.identity, codec.coder, 1, 40_000, codec.bits, 1)
    give(site.page, "thin.rnnc", bitstream.write(header, [b""]))
    site.page.wait_for_selector("#error:not([hidden]):has-text('more than the 32,767 on a side')", timeout=60_000)


def test_photos_are_turned_upright(site: Site, folded_codec: IterativeCodec, photo: Pixels) -> None:
    image, torch_codec = Image.fromarray(photo[:32, :48]), TorchCodec(folded_codec, dtype=torch.float32)
    page = site.page
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[Base.Orientation] = orientation
        content = encoded(image, "PNG", exif=exif)
        if orientation < 7:  # a format that Chromium does not turn by itself
            content = encoded(image, "WEBP", lossless=True, exif=exif)
        name = f"{orientation}.img"
        give(page, name, content)
        page.wait_for_selector(DONE, timeout=60_000)
        upright = to_pixels(Image.open(io.BytesIO(content)))[0]
        wanted = bitstream.read(torch_codec.compress(upright, 1))
        assert bitstream.read(saved(page)).layers[0] == wanted.layers[0]


def test_large_photo_is_scaled_down_and_the_page_says_so(site: Site) -> None:
    page = site.page
    give(page, "large.png", encoded(Image.new("RGB", (4000, 3000)), "PNG"))
    message = "The photo of 4000×3000 pixels was scaled down to 2309×1732"
    page.wait_for_selector(f"#status:has-text('{message}')", timeout=60_000)
    page.goto("about:blank")  # it need not be compressed


def test_transparency_is_shown_and_kept(site: Site, folded_codec: IterativeCodec, photo: Pixels) -> None:
    alpha = np.tile(np.linspace(255, 0, photo.shape[1]).astype(np.uint8), (photo.shape[0], 1))
    image = Image.fromarray(np.dstack([photo, alpha]))
    pixels, found, _ = to_pixels_and_alpha(image)
    metadata = Metadata(xmp=b"<x/>", alpha=pack_alpha(found)[0])
    data = TorchCodec(folded_codec, dtype=torch.float32).compress(pixels, LAYERS, metadata=metadata)
    file = bitstream.read(data)
    flat = list(TorchCodec(folded_codec, dtype=torch.float32).decode(file))[-1]
    page = site.page
    give(page, "cut-out.rnnc", data)
    page.wait_for_selector(DONE, timeout=30_000)
    url = page.evaluate("document.getElementById('picture').toDataURL('image/png')")
    shown = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert np.array_equal(np.asarray(shown)[..., 3], alpha)
    assert differ(np.asarray(over_white(shown)), np.asarray(over_white(with_alpha(flat, alpha)))) <= 3
    page.uncheck("#keep")
    assert saved(page) == bitstream.truncate(bitstream.read(data), len(data), strip=True)

    give(page, "photo.png", encoded(image, "PNG"))
    page.wait_for_selector(DONE, timeout=60_000)
    written = bitstream.read(saved(page))
    assert np.array_equal(unpack_alpha(written.metadata.alpha, *image.size), alpha)

    wrong = bitstream.write(file.header, file.layers, Metadata(alpha=b"no image").blocks())
    give(page, "wrong.rnnc", wrong)
    page.wait_for_selector("#error:has-text('Its transparency is damaged')", timeout=30_000)
    assert len(table(page)) == LAYERS


def test_bad_files_say_what_is_wrong(site: Site, data: bytes) -> None:
    ends = bitstream.read(data).ends
    file = bitstream.read(data)
    foreign = bitstream.write(replace(file.header, model=b"\xc0\xff\xee\x42"), file.layers)
    large = bitstream.write(replace(file.header, width=3000, height=2000), file.layers)
    thin = bitstream.write(replace(file.header, width=4_000_000, height=1), file.layers)
    deep = bitstream.write(replace(file.header, width=2000, height=2000, layers=255), [b""] * 255)
    damaged = bytearray(data)
    damaged[ends[0] + 5] ^= 1
    cases = {
        "cut.rnnc": (data[: ends[1] + 3], "Layer 3 of 3 was cut", 2),
        "damaged.rnnc": (bytes(damaged), "Layer 2 of 3 is damaged", 1),
        "start.rnnc": (data[: ends[0] - 1], "No layer is whole: layer 1 of 3 was cut", 0),
        "foreign.rnnc": (foreign, "written with the model c0ffee42", 0),
        "thin.rnnc": (thin, "250,000 blocks of 16×16 pixels are more than the 19,595 that this page takes", 0),
        "deep.rnnc": (deep, "Its 255 layers are more than the 33 of this size that this page takes", 0),
        "large.rnnc": (large, "3000×2000 pixels are more than the 4,000,000 that this page takes", 0),
        "newer.rnnc": (b"RNNC\x09" + data[5:], "version 9 of the format; this page reads versions 1 to 2", 0),
        "zeros.rnnc": (data[: ends[1]] + bytes(10**6), "Layer 3 of 3 is damaged", 2),
        "more.rnnc": (data + bytes(10**6), "Bytes that are not its own follow the file", 3),
        "text.rnnc": (b"hello", "not an .rnnc file", 0),
        "text.jpg": (b"hello", "neither an .rnnc file nor a picture", 0),
    }
    page = site.page
    for name, (content, message, layers) in cases.items():
        give(page, name, content)
        page.wait_for_selector(f"#error:not([hidden]):has-text('{message}')", timeout=30_000)
        assert page.locator("#result").is_hidden() == (layers == 0)
        assert len(table(page)) == layers
    page = site.open("?src=none.rnnc")
    page.wait_for_selector("#error:has-text('its server says 404')", timeout=30_000)


@pytest.mark.parametrize(
    "address", ["http://localhost:{port}/photo.rnnc", "//localhost:{port}/x", "data:,RNNC", "http://["]
)
def test_links_open_no_files_of_other_sites(site: Site, address: str) -> None:
    page = site.open("?src=" + quote(address.format(port=site.server.server_port), safe=""))
    page.wait_for_selector("#error:has-text('files of this site alone')", timeout=30_000)
    assert site.foreign == []
    assert site.complaints == []


def test_redirections_lead_to_no_other_site(site: Site) -> None:
    site.server.redirected["photo.rnnc"] = f"http://localhost:{site.server.server_port}/index.html"
    page = site.open("?src=photo.rnnc")
    page.wait_for_selector("#error:has-text('photo.rnnc cannot be loaded')", timeout=30_000)


def test_the_policy_forbids_foreign_scripts_and_requests(site: Site) -> None:
    page = site.page
    foreign = f"http://localhost:{site.server.server_port}/page.js"
    assert page.evaluate(f"fetch('{foreign}', {{mode: 'no-cors'}}).then(() => 'sent', () => 'refused')") == "refused"
    script = "new Promise(done => {const s = document.createElement('script'); s.onload = () => done('run');"
    script += "s.onerror = () => done('refused'); s.src = '%s'; document.body.append(s)})"
    assert page.evaluate(script % foreign) == "refused"
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.wrong = 1\">')")
    page.wait_for_timeout(300)
    assert page.evaluate("window.wrong") is None
    page.evaluate("document.querySelectorAll('body > img, body > script').forEach(element => element.remove())")


def test_mutated_files_end_in_a_picture_or_a_sentence(site: Site, data: bytes) -> None:
    rng = np.random.default_rng(0)
    older = version_1.write(bitstream.read(data).header, bitstream.read(data).layers)
    page = site.page
    for number in range(60):
        mutated = bytearray(data if number % 2 else older)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(len(mutated)))
            kind = rng.integers(4)
            if kind == 0:
                mutated[at] = rng.integers(256)
            elif kind == 1:
                mutated[at:] = bytes([rng.integers(256)]) * int(rng.integers(2000))
            elif kind == 2:
                mutated[at:at] = mutated[: rng.integers(200)]
            else:
                del mutated[at : at + int(rng.integers(50))]
            mutated += b" "  # never empty
        give(page, f"{number}.rnnc", bytes(mutated))
        page.wait_for_selector(ENDED, timeout=30_000)
        assert "went wrong" not in page.locator("#error").inner_text()
    assert site.complaints == []
    give(page, "photo.rnnc", data)
    page.wait_for_selector(f"#layer[max='{LAYERS}']:enabled", timeout=30_000)


def test_page_works_without_a_network_once_it_is_loaded_and_keeps_caches_of_others(new_site: Site, data: bytes) -> None:
    address = new_site.server.address
    kept = ["another page's", "rnncodec-of-another", f"rnncodec {address}/elsewhere/ 1"]
    older = f"rnncodec {address}/ rnncodec-0"
    other = new_site.context.new_page()
    other.goto(f"{address}/onnxruntime-license.txt")
    other.evaluate("names => Promise.all(names.map(name => caches.open(name)))", [*kept, older])
    page = new_site.page
    page.evaluate("navigator.serviceWorker.ready.then(() => 1)")
    loaded = new_site.server.requests.count("ort-wasm-simd-threaded.wasm.gz")
    assert loaded == 1
    assert eventually(lambda: page.evaluate("navigator.serviceWorker.controller !== null"))
    names = set(page.evaluate("caches.keys()"))
    assert names > set(kept)
    assert older not in names
    assert len(names) == len(kept) + 1
    new_site.context.set_offline(True)
    page.reload()
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    give(page, "photo.rnnc", data)
    page.wait_for_selector(DONE, timeout=30_000)
    assert len(table(page)) == LAYERS


def test_a_page_that_is_open_keeps_its_version_when_a_new_one_is_published(new_site: Site) -> None:
    page = new_site.page
    page.evaluate("navigator.serviceWorker.ready.then(() => 1)")
    assert eventually(lambda: page.evaluate("navigator.serviceWorker.controller !== null"))
    (own,) = page.evaluate("caches.keys()")
    listed = (new_site.server.folder / "files.js").read_bytes()
    number = re.search(rb"rnncodec-[0-9a-f]{16}", listed)
    assert number is not None
    new_site.server.slow["files.js"] = [listed.replace(number[0], b"rnncodec-0123456789abcdef")]
    for _ in range(9):
        new_site.server.gate.release()
    page.evaluate("navigator.serviceWorker.getRegistration().then(r => r.update()).then(() => 1)")
    waiting = "navigator.serviceWorker.getRegistration().then(r => r.waiting !== null)"
    assert eventually(lambda: page.evaluate(waiting))
    assert own in page.evaluate("caches.keys()")
    assert page.evaluate(f"caches.open({own!r}).then(c => c.match('page.js')).then(r => r !== undefined)")


def test_layers_that_had_arrived_are_shown_and_saved_when_the_connection_breaks(site: Site, data: bytes) -> None:
    ends = bitstream.read(data).ends
    site.server.send_slowly("photo.rnnc", [data[: ends[1] + 3], b""])
    site.server.broken = True
    page = site.open("?src=photo.rnnc")
    site.server.gate.release()
    page.wait_for_selector("#layer[max='2']:enabled", timeout=60_000)
    site.server.gate.release()
    page.wait_for_selector(DONE, timeout=60_000)
    site.server.broken = False
    assert "The connection broke." in page.locator("#error").inner_text()
    assert saved(page) == bitstream.truncate(bitstream.read(data[: ends[1]]), len(data))
