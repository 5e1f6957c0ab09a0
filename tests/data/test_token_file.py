"""Tokens on disk: the same numbers, in the smallest type that holds them, and a full disk is told."""

import tempfile
from typing import Any

import numpy as np
import pytest

from elman.data.token_file import on_disk
from elman.errors import DataError


@pytest.mark.parametrize(
    ("vocabulary", "kind"),
    [(2, np.uint8), (256, np.uint8), (257, np.uint16), (65_536, np.uint16), (65_537, np.int32), (1_000_000, np.int32)],
)
def test_the_numbers_are_those_of_the_pieces_in_the_smallest_type(vocabulary: int, kind: type) -> None:
    numbers = np.random.default_rng(0).integers(0, vocabulary, 100).astype(np.int32)
    numbers[3] = vocabulary - 1
    seen: list[np.ndarray] = []
    found = on_disk(iter([numbers[:40], numbers[40:40], numbers[40:]]), vocabulary, seen.append)
    assert found.dtype == kind
    assert np.array_equal(found, numbers)
    assert np.array_equal(np.concatenate(seen), numbers)
    assert isinstance(found, np.memmap)


def test_nothing_is_an_empty_array() -> None:
    assert len(on_disk(iter([]), 10)) == 0


def test_a_full_disk_is_told_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DataError, match=r"No space left on device.*TMPDIR"):
        on_disk(iter([np.zeros(3, np.int32)]), 10)
