"""A model that was trained once, for all tests that only read it."""

from pathlib import Path

import pytest
import tiny

import elman


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of the small text. Not to be written to."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "text.txt").write_text(tiny.TEXT, encoding="utf-8")
    return elman.train(folder / "text.txt", out=folder / "run", quiet=True, **tiny.OPTIONS).run


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(tiny.TEXT, encoding="utf-8")
    return path
