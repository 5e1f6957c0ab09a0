"""Signals: sequences of frames that lie in memory, or are read from their file when they are asked for.

A signal has a length in frames and gives them: (T, D) features, or (T, C, height, width) pictures. What was read from
a file is kept in memory as far as a `Cache` has room.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np

# A file is mostly waited for, or decoded by a library that lets other threads go on.
_WORKERS = 4

Item = TypeVar("Item")
Read = TypeVar("Read")


class Signal(Protocol):
    """A sequence of frames."""

    def __len__(self) -> int:
        """How many frames there are."""

    def frames(self) -> np.ndarray:
        """The frames, (T, D) or (T, C, height, width)."""


class Cache:
    """Arrays by key, up to so many bytes; what comes when it is full is not kept. Threads may share one.

    Nothing is thrown out: where all is read again in every epoch, what was kept first is as good as what was used last.
    """

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._kept: dict[Any, np.ndarray] = {}
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Cache":
        """Itself: a copy of what reads by it reads the same, and a lock can't be copied."""
        return self

    def __reduce__(self) -> tuple[type["Cache"], tuple[int]]:
        """Stored, it is empty and as large as it was."""
        return Cache, (self._room + sum(array.nbytes for array in self._kept.values()),)

    def get(self, key: Any, read: Callable[[], np.ndarray]) -> np.ndarray:
        """What is kept under the key, else what `read` gives."""
        found = self._kept.get(key)
        if found is None:
            found = read()
            with self._lock:
                if key not in self._kept and found.nbytes <= self._room:
                    self._room -= found.nbytes
                    self._kept[key] = found
        return found


def read_all(items: Sequence[Item], read: Callable[[Item], Read]) -> list[Read]:
    """`read` of each item, in order, side by side in a few threads, which end before this returns or raises."""
    if len(items) < 2:
        return [read(item) for item in items]
    with ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1), thread_name_prefix="elman-signals") as workers:
        return list(workers.map(read, items))


def rows_of(frames: np.ndarray) -> np.ndarray:
    """Frames (T, D) as they are; of pictures (T, C, height, width) the pixels as rows (N, C): what a scale is fitted on."""
    return np.moveaxis(frames, 1, -1).reshape(-1, frames.shape[1])
