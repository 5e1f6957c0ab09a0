"""A text to train on, and a way to run."""

from pathlib import Path
from typing import Any

import pytest
import tiny

import elman
from elman.training.run import TrainResult


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(tiny.TEXT, encoding="utf-8")
    return path


@pytest.fixture
def run(tmp_path: Path, text: Path) -> tiny.Run:
    """`run("name", **options)` trains the tiny network on the text, in the folder of that name."""

    def train(name: str, **options: Any) -> TrainResult:
        return elman.train(text, out=tmp_path / name, quiet=True, **{**tiny.OPTIONS, **options})

    return train
