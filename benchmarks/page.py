"""The page in Chromium, on .rnnc files: the codes of each layer, the pixels, and when the first picture shows.

rnncodec web -o site
rnncodec compress path/to/kodak/*.png -o kodak
python benchmarks/page.py kodak/*.rnnc --site site

Of each file a tenth is sent at first, and the rest when a picture shows, or after WAIT seconds. Needs  pip install
playwright  and a Chromium; the variable CHROMIUM names it, if it is not found.
"""

import argparse
import base64
import hashlib
import io
import os
import shutil
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from rnncodec import bitstream
from rnncodec.compression import Compressor, compressor
from rnncodec.imaging import Pixels
from rnncodec.weights import DEFAULT_MODEL

SHARE = 0.1  # of a file that is sent at first
WAIT = 30.0  # seconds


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help=".rnnc files")
    parser.add_argument("--site", type=Path, required=True, help="the folder that rnncodec web has written")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="the network of the site")
    options = parser.parse_args()
    named = [os.environ.get("CHROMIUM"), *map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))]
    chromium = next((path for path in named if path), None)
    if chromium is None:
        parser.error("no Chromium: set CHROMIUM to its path")
    codec = compressor(options.model)
    server = Server(options.site)
    columns = (
        "file",
        "bytes",
        "layer 1 of it",
        "codes",
        "pixels differ by",
        "shown at a tenth",
        "after (s)",
        "all (s)",
    )
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for path in options.files:
            page = browser.new_page()
            row = [path.stem, *measure(page, server, codec, path.read_bytes())]
            print(f"| {' | '.join(row)} |", flush=True)
            page.close()
        browser.close()


def measure(page: Any, server: Server, codec: Compressor, content: bytes) -> list[str]:
    """A row of the table. The seconds count from when the page has loaded the network."""
    server.content = content
    server.go_on.clear()
    page.goto(f"http://127.0.0.1:{server.server_port}/?src=photo.rnnc")
    page.wait_for_selector("body[data-ready]", timeout=120_000)
    started = time.perf_counter()
    page.wait_for_selector("canvas[data-layer]", timeout=5000 * WAIT)
    first = time.perf_counter() - started
    early = "yes" if first < WAIT else "no"
    server.go_on.set()
    page.wait_for_selector("body[data-done]", timeout=600_000)
    whole = time.perf_counter() - started
    file = bitstream.read(content)
    codes = [hashlib.sha256(each.tobytes()).hexdigest()[:16] for each in codec._codes(file.header, file.layers)]
    found = [row.locator("td").nth(3).text_content() for row in page.locator("#table tr").all()]
    *_, wanted = codec.decode(file)
    difference = np.abs(canvas(page).astype(int) - wanted.astype(int)).max()
    equal = "equal" if found == codes else "DIFFERENT"
    share = f"{file.ends[0] / len(content):.1%}"
    return [f"{len(content):,}", share, equal, str(difference), early, f"{first:.2f}", f"{whole:.2f}"]


def canvas(page: Any) -> Pixels:
    url = page.evaluate("document.getElementById('picture').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


if __name__ == "__main__":
    main()
