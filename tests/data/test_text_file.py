"""Texts that stay in their files: read piece by piece they are what they would be whole, and as much is refused."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elman.data import decoding
from elman.data.text import Document, TextFile, open_documents, read_documents, split_tail
from elman.data.watch import watched
from elman.errors import DataError

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
_blocks = st.integers(1, 9)


@in_a_folder
@given(
    st.text(st.sampled_from("aé中𝄞 \n\r"), min_size=1, max_size=30),
    st.sampled_from(["utf-8", "utf-16", "gb18030"]),
    _blocks,
)
def test_the_size_of_a_block_changes_nothing(tmp_path: Path, text: str, encoding: str, block: int) -> None:
    path = tmp_path / "text"
    path.write_bytes(("x" + text).encode(encoding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_BLOCK", block)
        pieces = list(TextFile.open(path, encoding).pieces())
    assert "".join(pieces) == "x" + text.replace("\r\n", "\n").replace("\r", "\n")
    assert all(pieces)


@in_a_folder
@given(st.text(st.sampled_from("aé\n"), min_size=1, max_size=20), st.integers(0, 22), st.integers(0, 22), _blocks)
def test_a_part_is_a_slice_of_the_text(tmp_path: Path, text: str, start: int, stop: int, block: int) -> None:
    path = tmp_path / "text"
    path.write_text("x" + text)
    whole = Document("text", "x" + text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_BLOCK", block)
        part = TextFile.open(path, "utf-8").part(start, min(stop, whole.length)).part(1, 10)
        read = "".join(part.pieces()) if part.start < part.stop else ""
    assert read == whole.part(start, stop).part(1, 10).text


@in_a_folder
@given(st.integers(0, 40), _blocks)
def test_a_split_of_a_file_is_that_of_its_text(tmp_path: Path, at_most: int, block: int) -> None:
    path = tmp_path / "text"
    path.write_text("né " * 13)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_BLOCK", block)
        lazy = split_tail(open_documents([path]), 0.5, at_most)
        read = [["".join(text.pieces()) for text in part] for part in lazy]
    whole = split_tail(read_documents([path]), 0.5, at_most)
    assert read == [[text.part(0, text.length).text for text in part] for part in whole]
    assert sum(map(len, read[1])) == min(at_most, 20)


def test_what_is_no_text_is_named_with_its_place_in_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_BLOCK", 4)
    for data, place in (("né" * 5).encode() + b"\xff", r"byte 15 is 0xff"), (b"abcdef\0", r"position 6"):
        (tmp_path / "text").write_bytes(data)
        with pytest.raises(DataError, match=place):
            TextFile.open(tmp_path / "text", "utf-8")
    (tmp_path / "text").write_bytes(b"abcd\xc3")
    with pytest.raises(DataError, match="byte 4 is 0xc3"):
        TextFile.open(tmp_path / "text", "utf-8")


def test_a_file_that_became_shorter_is_told(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("once upon a time")
    text = TextFile.open(path, "utf-8")
    path.write_text("once upon")
    with pytest.raises(DataError, match="became shorter"):
        list(text.pieces())


def test_a_file_that_only_grew_is_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("once upon")
    text = TextFile.open(path, "utf-8")
    path.write_text("once upon a time")
    assert "".join(text.pieces()) == "once upon"


def test_who_watches_is_told_how_far_reading_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_BLOCK", 4)
    (tmp_path / "text").write_text("abcdefghij")
    told: list[tuple[str, int]] = []
    with watched(lambda name, read: told.append((name, read))):
        TextFile.open(tmp_path / "text", "utf-8")
    TextFile.open(tmp_path / "text", "utf-8")
    assert [read for _, read in told] == [4, 8, 10, 10]
    assert {name for name, _ in told} == {str(tmp_path / "text")}
