"""Texts to answer: one by one, in batches as they arrive, and a reader that always ends."""

import io
import queue
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from elman.data.bad_rows import BadRows
from elman.data.inputs import in_batches, read_inputs
from elman.data.text import Document
from elman.errors import DataError

# Long enough for a thread to do what it does at once.
SOON = 20.0


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "elman-reader"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert readers() == []


def test_a_text_a_line_empty_ones_too() -> None:
    assert list(read_inputs(Document("a.txt", "Ağaç\r\n\n今天, 👍\n"))) == [
        ("a.txt, line 1", "Ağaç"),
        ("a.txt, line 2", ""),
        ("a.txt, line 3", "今天, 👍"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "column", "expected"),
    [
        ("a.csv", "id,text\n1,مرحبا\n2,b\n", None, ["مرحبا", "b"]),
        ("a.csv", "text,other\na,x\nb,y\n", "other", ["x", "y"]),
        ("a.csv", "text\na\nb\n", "sentence", ["a", "b"]),
        ("a.tsv", "a long text\tx\nanother\ty\n", None, ["a long text", "another"]),
        ("a.jsonl", '{"text": "é"}\n', None, ["é"]),
    ],
)
def test_a_table_gives_the_texts_of_a_column(name: str, content: str, column: str | None, expected: list[str]) -> None:
    assert [text for _, text in read_inputs(Document(name, content), column=column)] == expected


def test_a_bad_line_is_an_error_unless_bad_rows_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\n\xff\nthree\n")
    with pytest.raises(DataError, match=r"a\.txt, line 2: it is not utf-8"):
        list(read_inputs(tmp_path / "a.txt"))
    bad = BadRows()
    assert [text for _, text in read_inputs(tmp_path / "a.txt", bad=bad)] == ["one", "three"]
    assert bad.count == 1


def test_standard_input_is_a_text_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("é,1\nb,2".encode()), encoding="ascii"))
    assert list(read_inputs("-")) == [("standard input, line 1", "é,1"), ("standard input, line 2", "b,2")]


def test_a_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(("x" * 200 + "\n") * 20_000, encoding="utf-8")
    tracemalloc.start()
    assert sum(map(len, in_batches(read_inputs(path), 32))) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 10


@given(st.lists(st.integers(), max_size=50), st.integers(1, 9))
def test_batches_hold_every_item_in_order(items: list[int], limit: int) -> None:
    batches = list(in_batches(iter(items), limit))
    assert [item for batch in batches for item in batch] == items
    assert all(0 < len(batch) <= limit for batch in batches)


def test_one_item_is_answered_at_once_and_several_in_a_batch() -> None:
    typed: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    waiting = threading.Semaphore(0)

    def lines() -> Iterator[str]:
        while True:
            waiting.release()
            line = typed.get(timeout=SOON)
            if line is None:
                return
            yield line

    batches = in_batches(lines(), 8)
    for line in ("one", "two"):
        typed.put(line)
        # There is no second line yet.
        assert next(batches) == [line]
    for _ in range(3):
        assert waiting.acquire(timeout=SOON)
    for line in ("three", "four", "five"):
        typed.put(line)
    # Once the reader asks for a fourth, three are there.
    for _ in range(3):
        assert waiting.acquire(timeout=SOON)
    assert next(batches) == ["three", "four", "five"]
    typed.put(None)
    assert list(batches) == []


def test_the_reader_reads_ahead_by_a_bounded_number_and_ends_when_the_consumer_stops() -> None:
    taken: list[int] = []
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                taken.append(len(taken))
                yield taken[-1]
        finally:
            closed.set()

    batches = in_batches(endless(), 4)
    assert next(batches)[0] == 0
    batches.close()
    assert closed.wait(SOON)
    assert readers() == []
    assert len(taken) <= 4 + 2 * 4 + 3


def fail(batches: Iterator[list[int]]) -> None:
    for _ in batches:
        raise KeyError


_ANSWER_ONE = """
from elman.data.inputs import in_batches, read_inputs
for batch in in_batches(read_inputs("-"), 8):
    print(batch[0][1], flush=True)
    break
"""


def test_a_process_ends_quietly_while_its_reader_waits_for_a_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _ANSWER_ONE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=tiny.environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == b"one"
        # Standard input is still open, and no more comes.
        assert process.wait(SOON) == 0
        assert process.stderr.read() == b""


def test_a_consumer_that_fails_ends_the_reader_too() -> None:
    batches = in_batches(iter(range(1000)), 4)
    with pytest.raises(KeyError):
        fail(batches)
    batches.close()
    assert readers() == []


def test_an_error_comes_after_the_items_before_it() -> None:
    def broken() -> Iterator[int]:
        yield from range(5)
        raise DataError("line 6 is broken")

    batches = in_batches(broken(), 5)
    seen: list[int] = []
    while len(seen) < 5:
        seen += next(batches)
    assert seen == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="line 6"):
        next(batches)
