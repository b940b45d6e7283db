import gc
import os

import pytest

from tests.commands import share_server, use_shared_server

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch is imported, and for the processes that tests start


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures where tests run. The first process of ``pytest -n`` runs none: it need not import PyTorch."""
    if not hasattr(config, "workerinput") and config.getoption("numprocesses", 0):
        share_server()
        return
    use_shared_server()
    gc.disable()  # until the tests are collected
    config.pluginmanager.import_plugin("tests.fixtures")
