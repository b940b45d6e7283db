"""The size of the page."""

from pathlib import Path

import pytest

from rnncodec.export import export
from rnncodec.model_file import load_model
from rnncodec.web import write_page
from rnncodec.weights import released_models

MOST = 12_000_000  # bytes, of all files


@pytest.mark.parametrize("name", sorted(released_models()))
def test_page_with_a_released_model_is_small_enough(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    network, site = tmp_path / "network", tmp_path / "site"
    export(load_model(name), network)
    size = write_page(network, site)
    assert size == sum(path.stat().st_size for path in site.iterdir())
    assert size <= MOST
