"""The page in Chromium against Python in float32, on the photos in a folder: codes, pixels, and the first picture.

python -m benchmarks.page path/to/kodak --model light

Each photo is compressed to eight layers and opened from a local server, which sends a tenth of the file at first, and
the rest when a picture shows, or after WAIT seconds. The exit code is 1 if codes differ, if pixels differ by more than
1 of 255, or if a tenth of a file shows no picture. Seconds count from when the page has loaded the network.

Needs the packages of  pip install 'rnncodec[onnx,dev]'  and a Chromium; the variable CHROMIUM names it, if it is not
found.
"""

import argparse
import base64
import hashlib
import io
import os
import shutil
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.progress import track

from rnncodec.coding.torch_codec import TorchCodec
from rnncodec.export.onnx import export
from rnncodec.export.web import write_page
from rnncodec.fileformat import bitstream
from rnncodec.pictures.folders import find_images
from rnncodec.pictures.pixels import Pixels, read_pixels
from rnncodec.weights.released import DEFAULT_MODEL
from rnncodec.weights.weights_file import load_model

LAYERS = 8
SHARE = 0.1  # of a file that is sent at first
WAIT = 30.0  # seconds
COLUMNS = (
    "photo",
    "bytes",
    "layer 1 of it",
    "codes",
    "pixels differ by",
    "shown at a tenth",
    "first picture (s)",
    "all (s)",
)


class Server(ThreadingHTTPServer):
    """Serves the site, and at /photo.rnnc the file at hand, whose rest waits for ``go_on``."""

    daemon_threads = True

    def __init__(self, site: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(site)))
        self.content = b""
        self.go_on = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if not self.path.startswith("/photo.rnnc"):
            super().do_GET()
            return
        content, first = self.server.content, int(SHARE * len(self.server.content))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:first])
        self.server.go_on.wait(WAIT)
        self.wfile.write(content[first:])

    def log_message(self, *_: object) -> None:
        pass


class Found(NamedTuple):
    """What the page did with one file."""

    bytes: int
    share: float  # of the file, that the first layer takes
    codes_equal: bool
    difference: int  # of pixels, the largest over all layers
    early: bool  # a picture showed before more than a tenth was sent
    first: float  # seconds
    whole: float  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--first", type=int, help="only so many of the photos")
    options = parser.parse_args()
    named = [os.environ.get("CHROMIUM"), *map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))]
    chromium = next((path for path in named if path), None)
    if chromium is None:
        parser.error("no Chromium: set CHROMIUM to its path")
    if not options.photos.is_dir():
        parser.error(f"{options.photos}: no such folder")
    paths = find_images(options.photos)[: options.first]
    codec = load_model(options.model)
    torch_codec = TorchCodec(codec, dtype=torch.float32)
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    found = []
    with tempfile.TemporaryDirectory() as site, sync_playwright() as playwright:
        with tempfile.TemporaryDirectory() as network:
            export(codec, network)
            write_page([network], site)
        server = Server(Path(site))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for path in track(paths, "opening", console=Console(stderr=True), transient=True):
            page = browser.new_page()
            found.append(measure(page, server, torch_codec, torch_codec.compress(read_pixels(path), LAYERS)))
            print(f"| {path.stem} | {' | '.join(cells(found[-1]))} |", flush=True)
            page.close()
        browser.close()
    print(f"\n{options.model}, {len(found)} photos: ", end="")
    print(f"codes equal in {sum(each.codes_equal for each in found)}, ", end="")
    print(f"pixels differ by at most {max(each.difference for each in found)} of 255, ", end="")
    print(f"a picture at a tenth of the file in {sum(each.early for each in found)}, ", end="")
    print(f"after {min(each.first for each in found):.2f} to {max(each.first for each in found):.2f} s")
    sys.exit(not all(each.codes_equal and each.difference <= 1 and each.early for each in found))


def cells(found: Found) -> list[str]:
    """A row of the table."""
    equal, early = "equal" if found.codes_equal else "DIFFERENT", "yes" if found.early else "no"
    seconds = [f"{found.first:.2f}", f"{found.whole:.2f}"]
    return [f"{found.bytes:,}", f"{found.share:.1%}", equal, str(found.difference), early, *seconds]


def measure(page: Any, server: Server, torch_codec: TorchCodec, content: bytes) -> Found:
    """Open a file in the page."""
    server.content = content
    server.go_on.clear()
    page.goto(f"http://127.0.0.1:{server.server_port}/?src=photo.rnnc")
    page.wait_for_selector("body[data-ready]", timeout=120_000)
    started = time.perf_counter()
    page.wait_for_selector("canvas[data-layer]", timeout=5000 * WAIT)
    first = time.perf_counter() - started
    early = first < WAIT  # after that the rest is sent
    server.go_on.set()
    page.wait_for_selector("body[data-done]", timeout=600_000)
    whole = time.perf_counter() - started
    file = bitstream.read(content)
    codes = [hashlib.sha256(each.tobytes()).hexdigest()[:16] for each in torch_codec.codes(file.header, file.layers)]
    hashes = [row.locator("td").nth(3).text_content() for row in page.locator("#table tr").all()]
    differences = [
        np.abs(shown_at(page, layer).astype(int) - wanted).max()
        for layer, wanted in enumerate(torch_codec.decode(file), start=1)
    ]
    share = file.ends[0] / len(content)
    return Found(len(content), share, hashes == codes, int(max(differences)), early, first, whole)


def shown_at(page: Any, layer: int) -> Pixels:
    """The picture that the page shows when the slider is at ``layer``."""
    page.locator("#layer").fill(str(layer))
    page.wait_for_selector(f"canvas[data-layer='{layer}']", timeout=600_000)  # it may have been left out until now
    url = page.evaluate("document.getElementById('picture').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


if __name__ == "__main__":
    main()
