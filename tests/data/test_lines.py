"""Lines: ends, encodings, what is wrong with one of them, and memory."""

import io
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from elman.data.lines import LONGEST, Line, read_lines
from elman.data.text import Document
from elman.errors import DataError

TEXTS = ["Ağaç ve ışık", "今天天气很好", "مرحبا بالعالم", "👩‍👩‍👧 🇹🇷 e\u0301"]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "utf-32"])
def test_lines_are_the_same_in_every_encoding_and_with_every_line_end(tmp_path: Path, encoding: str, end: str) -> None:
    path = write(tmp_path / "a.txt", end.join(TEXTS).encode(encoding))
    assert list(read_lines(path, encoding)) == [Line(number, text) for number, text in enumerate(TEXTS, 1)]


def test_a_byte_order_mark_is_dropped_at_the_start_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "\ufeffone\n\ufefftwo\n".encode())
    assert [line.text for line in read_lines(path)] == ["one", "\ufefftwo"]


def test_a_document_has_lines_too() -> None:
    assert list(read_lines(Document("d", "a\r\nb\n"))) == [Line(1, "a"), Line(2, "b")]


@pytest.mark.parametrize(
    ("encoding", "data", "said"),
    [
        ("utf-8", b"caf\xe9", "byte 0xe9 after 3 characters"),
        ("utf-8", b"ab\xed\xa0\x80", "not utf-8"),
        ("gb18030", "中".encode("gb18030") + b"\xff", "byte 0xff after 1 character"),
        ("ascii", "é".encode(), "not ascii"),
        ("utf-8", b"a\0b", "NUL"),
    ],
)
def test_a_wrong_line_is_told_and_the_next_one_is_read(tmp_path: Path, encoding: str, data: bytes, said: str) -> None:
    path = write(tmp_path / "a.txt", b"one\n" + data + b"\nthree\n")
    first, second, third = read_lines(path, encoding)
    assert (first, third) == (Line(1, "one"), Line(3, "three"))
    assert second.number == 2
    assert second.wrong is not None
    assert said in second.wrong


def test_half_a_character_at_the_end_is_wrong(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "ab\nc".encode("utf-16-le")[:-1])
    assert [line.wrong is None for line in read_lines(path, "utf-16-le")] == [True, False]


def test_a_line_is_too_long_at_a_million_characters_and_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"x" * LONGEST + b"\n" + b"x" * (LONGEST + 1) + b"\nend\n" + b"x" * (LONGEST + 1))
    lines = list(read_lines(path))
    assert [len(line.text) for line in lines] == [LONGEST, 0, 3, 0]
    assert [line.wrong for line in lines][::2] == [None, None]
    assert lines[1].wrong == lines[3].wrong == "it has 1,000,001 characters, more than 1,000,000"


def test_a_line_of_ten_million_characters_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"x" * 10_000_000 + b"\nend")
    tracemalloc.start()
    lines = list(read_lines(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [line.text for line in lines] == ["", "end"]
    assert peak < 6_000_000


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("é\r\nb".encode()), encoding="ascii"))
    assert [line.text for line in read_lines("-")] == ["é", "b"]


def test_a_line_of_standard_input_is_there_before_the_next_one_is_written() -> None:
    code = "from elman.data.lines import read_lines\nfor line in read_lines('-'): print(line.text, flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**tiny.environment(), "PYTHONUTF8": "1"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in TEXTS:
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().decode().rstrip("\r\n") == text
        process.stdin.close()
        assert process.wait(20) == 0


@pytest.mark.parametrize("encoding", ["utf-99", "hex", "rot13", "undefined"])
def test_an_encoding_that_is_not_one_of_text_is_refused_by_name(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(DataError, match=f"{encoding!r}"):
        list(read_lines(write(tmp_path / "a.txt", b"abc\n"), encoding))


@pytest.mark.skipif(os.name != "posix", reason="a folder opens as a file nowhere, but says so in other words")
def test_what_can_not_be_opened_is_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=f"{path} can't be read"):
            list(read_lines(path))


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\ufeff"), min_size=1), min_size=1))
def test_lines_of_a_document_are_those_that_were_joined(texts: list[str]) -> None:
    assert [line.text for line in read_lines(Document("d", "\n".join(texts)))] == texts
