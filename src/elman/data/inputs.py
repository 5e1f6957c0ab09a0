"""Texts to answer, as they arrive: one by one from a file or standard input, and in batches as long as input is at hand."""

import itertools
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from elman.data.bad_rows import BadRows
from elman.data.columns import text_column
from elman.data.lines import read_lines
from elman.data.table import SAMPLE, SUFFIXES, read_table
from elman.data.text import Source, name_of

T = TypeVar("T")

# A thread that waits for a line of a terminal can't be stopped: how long to wait for one that can.
_PATIENCE = 1.0


def read_inputs(
    source: Source, *, column: str | None = None, encoding: str = "utf-8", bad: BadRows | None = None
) -> Iterator[tuple[str, str]]:
    """(where, text) of each input, in constant memory: of a table if the name's ending says so, else a text a line.

    A table's texts stand in `column`, else in the column with a name from `TEXT_NAMES`, else the one of the longest texts.
    Lines of standard input are given as they arrive. An empty line is an empty text, so that answers can be counted off
    against lines. Bad rows are those of `read_lines` and `read_table`; without `bad` the first is an error (`DataError`).
    """
    bad = bad or BadRows(strict=True)
    if Path(name_of(source)).suffix.lower() in SUFFIXES:
        table = read_table(source, encoding=encoding, bad=bad, asked=[column])
        sample = list(itertools.islice(table.rows, SAMPLE))
        taken = table.columns[0] if len(table.columns) == 1 else text_column(table, sample, column)
        for where, row in itertools.chain(sample, table.rows):
            yield where, row.get(taken, "")
        return
    for line in read_lines(source, encoding):
        where = f"{name_of(source)}, line {line.number}"
        if line.wrong:
            bad.skip(where, line.wrong)
        else:
            yield where, line.text


def in_batches(items: Iterator[T], limit: int) -> Iterator[list[T]]:
    """Lists of at most `limit` items, each as long as input is at hand: never empty, never waiting for more than one item.

    A thread reads ahead, by `2 * limit` items at most, while the caller works on a list. An error of `items` is raised after
    the items before it. When the caller stops early, the thread ends and closes `items`, unless it is waiting for input: then
    it ends with the process.
    """
    reader = _Reader(items, limit)
    try:
        while batch := reader.take(limit):
            yield batch
    finally:
        reader.stop()


class _Reader(Generic[T]):
    """A thread that puts items into a bounded queue: each in a tuple, an error by itself, None at the end."""

    def __init__(self, items: Iterator[T], limit: int) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[T] | Exception | None] = queue.Queue(max(2 * limit, 2))
        self._stopped = threading.Event()
        self._ended: Exception | None = None
        self._at_end = False
        self._thread = threading.Thread(target=self._read, name="elman-reader", daemon=True)
        self._thread.start()

    def take(self, limit: int) -> list[T]:
        """One item, waited for, and those that are there already; none at the end. Raises what the iterator raised."""
        batch: list[T] = []
        while len(batch) < limit and not self._at_end:
            try:
                entry = self._queue.get(block=not batch)
            except queue.Empty:
                break
            if isinstance(entry, tuple):
                batch.append(entry[0])
            else:
                self._at_end = True
                self._ended = entry
        if not batch and self._ended is not None:
            raise self._ended
        return batch

    def stop(self) -> None:
        self._stopped.set()
        # Room for what the thread is about to put, and for its end: it puts no more than these two once it is told to stop.
        while not self._queue.empty():
            self._queue.get()
        self._thread.join(_PATIENCE)

    def _read(self) -> None:
        end: Exception | None = None
        try:
            for item in self._items:
                self._queue.put((item,))
                if self._stopped.is_set():
                    break
        except Exception as error:
            end = error
        finally:
            # A generator holds a file: it is closed by the thread that runs it.
            if hasattr(self._items, "close"):
                self._items.close()
        self._queue.put(end)
