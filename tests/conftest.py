from collections.abc import Iterator
from pathlib import Path

import pytest

from comparisons import make_comparison  # noqa: F401 - a fixture
from equiseg.training.run import train
from runs import tiny_config


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder for stored scans and surveys: tests neither read nor fill that of the user."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EQUISEG_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a handful of scenes, trained once for all tests."""
    out = tmp_path_factory.mktemp("run")
    train(tiny_config(), out)
    return out
