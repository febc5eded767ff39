from pathlib import Path

import pytest

from comparisons import make_comparison  # noqa: F401 - a fixture
from equiseg.training.run import train
from runs import tiny_config


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a handful of scenes, trained once for all tests."""
    out = tmp_path_factory.mktemp("run")
    train(tiny_config(), out)
    return out
