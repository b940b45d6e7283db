"""The page in a real browser, from a local server that can send slowly."""

import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest


class Server(ThreadingHTTPServer):
    """Serves a folder. A file in ``slow`` is sent in pieces: after each, its ``gate`` must be released once."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.folder = folder
        self.slow: dict[str, list[bytes]] = {}
        self.gate = threading.Semaphore(0)
        self.sent = 0  # bytes of a slow file
        self.broken = False  # whether the connection breaks before the last byte
        self.redirected: dict[str, str] = {}  # names of files to the addresses that are given instead
        self.requests: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def replace(self, name: str, content: bytes) -> None:
        """Send other content than that of the file."""
        self.send_slowly(name, [content])
        self.gate.release()

    def send_slowly(self, name: str, pieces: list[bytes]) -> None:
        self.slow[name], self.gate, self.sent = pieces, threading.Semaphore(0), 0


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = urlsplit(self.path).path.lstrip("/")
        self.server.requests.append(name)
        if name in self.server.redirected:
            self.send_response(302)
            self.send_header("Location", self.server.redirected[name])
            self.end_headers()
            return
        pieces = self.server.slow.get(name)
        if pieces is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(name))
        self.send_header("Content-Length", str(sum(map(len, pieces)) + self.server.broken))
        self.end_headers()
        for piece in pieces:
            self.server.gate.acquire(timeout=60)
            self.wfile.write(piece)
            self.wfile.flush()
            self.server.sent += len(piece)

    def log_message(self, *_: object) -> None:
        pass


class Site:
    """The page in Chromium, with what it complained of and what it asked other servers for. To load it takes seconds of
    CPU: tests share it, and go on with the page as another test has left it unless they open it anew."""

    def __init__(self, browser: Any, server: Server) -> None:
        self.server = server
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self._page = self.context.new_page()
        self._page.on("console", lambda message: self.complaints.append(message.text))
        self._page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._page.on("request", self._note)

    @property
    def page(self) -> Any:
        """The page, ready for a file."""
        return self._page if self._page.url.startswith(self.server.address) else self.open()

    def open(self, query: str = "") -> Any:
        """Load the page anew."""
        self._page.goto(f"{self.server.address}/{query}")
        self._page.wait_for_selector("body[data-ready]", timeout=60_000)
        return self._page

    def forget(self) -> None:
        """Forget what a test has set and found."""
        self.server.slow, self.server.redirected, self.server.requests = {}, {}, []
        self._page.evaluate("document.querySelectorAll('#keep').forEach(keep => keep.checked = true)")
        self._page.set_viewport_size({"width": 1280, "height": 900})
        self.complaints.clear()
        self.foreign.clear()

    def close(self) -> None:
        self.context.close()
        self.server.shutdown()

    def _note(self, request: Any) -> None:
        if not request.url.startswith((self.server.address, "blob:", "data:")):
            self.foreign.append(request.url)


@pytest.fixture(scope="session")
def site_folder(exported: Path, exports: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with `folded_codec`, and `wide_codec` for its files."""
    from rnncodec.export.web import write_page

    folder = tmp_path_factory.mktemp("site")
    write_page([exported, exports["wide"]], folder)
    return folder


@pytest.fixture(scope="session")
def shared_site(chromium_browser: Any, site_folder: Path) -> Iterator[Site]:
    yield from served(chromium_browser, site_folder)


@pytest.fixture
def site(shared_site: Site) -> Site:
    shared_site.forget()
    return shared_site


@pytest.fixture
def new_site(chromium_browser: Any, site_folder: Path) -> Iterator[Site]:
    """The page where the browser has not been before."""
    yield from served(chromium_browser, site_folder)


def served(browser: Any, folder: Path) -> Iterator[Site]:
    found = Site(browser, Server(folder))
    yield found
    found.close()


@pytest.fixture(scope="session")
def wide_site_folder(exports: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with `wide_codec`."""
    from rnncodec.export.web import write_page

    folder = tmp_path_factory.mktemp("wide_site")
    write_page([exports["wide"]], folder)
    return folder


@pytest.fixture(scope="session")
def shared_wide_site(chromium_browser: Any, wide_site_folder: Path) -> Iterator[Site]:
    yield from served(chromium_browser, wide_site_folder)


@pytest.fixture
def wide_site(shared_wide_site: Site) -> Site:
    shared_wide_site.forget()
    return shared_wide_site


def eventually(condition: Any, seconds: float = 30.0) -> bool:
    """Whether ``condition`` comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
