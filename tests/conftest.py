import gc
import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch is imported, and for the processes that tests start


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures where tests run. The first process of ``pytest -n`` runs none: it need not import PyTorch."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", 0):
        gc.disable()  # until the tests are collected
        config.pluginmanager.import_plugin("tests.fixtures")
