"""The sources of the page: which way their imports go, and whether the page was built from them."""

import hashlib
import re
from importlib.resources import files
from pathlib import Path

from tests.test_structure import circle

WEB = Path(__file__).parents[3] / "web"


def test_page_was_built_from_its_sources() -> None:
    digest = hashlib.sha256()
    for path in sorted([WEB / "package-lock.json", *(WEB / "src").iterdir()]):
        digest.update(str(path.relative_to(WEB)).encode() + path.read_bytes())
    built = Path(str(files("rnncodec.export"))) / "sources.sha256"
    assert built.read_text().strip() == digest.hexdigest(), "run  npm ci && npm run build  in web/"


def test_no_source_imports_itself_through_others() -> None:
    arrows = {
        path.stem: set(re.findall(r'(?:from|import) *\(?"\./(\w+)"', path.read_text()))
        for path in (WEB / "src").glob("*.ts")
    }
    assert arrows["contexts"] >= {"checkerboard", "recurrent_checkerboard"}
    assert not circle(arrows)
