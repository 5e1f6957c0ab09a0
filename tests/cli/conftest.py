"""A model that was trained once, for all tests that only read it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny

import elman
from elman.training.loop import Trainer


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


@pytest.fixture
def interrupted_at() -> Callable[[int], AbstractContextManager[None]]:
    """Within `interrupted_at(n)`, training is told to stop (SIGTERM) before its update n, counted from 0, as if by a person."""

    @contextmanager
    def interrupted(number: int) -> Iterator[None]:
        step = Trainer.step

        def told_to_stop(trainer: Trainer, fraction: float) -> Any:
            if trainer.progress.step == number:
                trainer._interrupted_by = 15
            return step(trainer, fraction)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "step", told_to_stop)
            yield

    return interrupted
