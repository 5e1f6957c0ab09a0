"""Batches made ahead are those that would have been made when they were asked for; and the thread ends."""

import threading
from contextlib import closing
from pathlib import Path

import pytest
import tiny

import elman
from elman.training.prefetch import Prefetch


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("elman-batches")]


@pytest.mark.parametrize("steps", [[0, 1, 2, 3], [5, 6, 2, 3, 3, 0]])
def test_each_step_gets_its_own_batch(steps: list[int]) -> None:
    with closing(Prefetch(lambda step: step * step)) as batches:
        assert [batches(step) for step in steps] == [step * step for step in steps]


def test_the_next_batch_is_made_before_it_is_asked_for() -> None:
    made = [threading.Event() for _ in range(3)]

    def batch(step: int) -> int:
        made[step].set()
        return step

    with closing(Prefetch(batch)) as batches:
        batches(0)
        assert made[1].wait(timeout=10)
        assert not made[2].is_set()


def test_an_error_is_raised_at_its_own_step_and_the_thread_ends() -> None:
    def batch(step: int) -> int:
        return 1 // (2 - step)

    with closing(Prefetch(batch)) as batches:
        assert batches(0) == 0
        assert batches(1) == 1
        with pytest.raises(ZeroDivisionError):
            batches(2)
        assert threads()
    assert not threads()


def test_no_thread_is_left_of_a_run_that_ends_or_diverges(text: Path, tmp_path: Path) -> None:
    elman.train(text, out=tmp_path / "a", quiet=True, **{**tiny.OPTIONS, "steps": 3})
    assert not threads()
    with pytest.raises(elman.ElmanError, match="diverged"):
        elman.train(text, out=tmp_path / "b", quiet=True, **{**tiny.OPTIONS, "lr": 1e38, "clip": 0.0})
    assert not threads()
