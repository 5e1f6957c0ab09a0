"""Texts: what is read from files, folders and standard input, how it is split, and what is refused."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.text import Document, characters, read_documents, reference_documents, split_tail
from elman.errors import DataError


def write(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def texts(documents: list[Document]) -> list[str]:
    return [document.text for document in documents]


def test_a_file_is_a_document_named_by_its_path(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one\ntwo")
    assert read_documents([path]) == [Document(str(path), "one\ntwo")]
    assert read_documents([str(path)]) == read_documents([path])


def test_several_files_keep_the_order_in_which_they_were_given(tmp_path: Path) -> None:
    b, a = write(tmp_path / "b", "B"), write(tmp_path / "a", "A")
    assert texts(read_documents([b, a, b])) == ["B", "A", "B"]


def test_a_folder_is_read_whole_in_order_of_name_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt", ".hidden", ".git/config", "sub/.hidden"):
        write(tmp_path / "folder" / name, name)
    assert texts(read_documents([tmp_path / "folder"])) == ["a.txt", "b.txt", "sub/c.txt"]


def test_a_folder_within_a_hidden_folder_is_not_hidden_itself(tmp_path: Path) -> None:
    write(tmp_path / ".cache" / "texts" / "a.txt", "seen")
    assert texts(read_documents([tmp_path / ".cache" / "texts"])) == ["seen"]


def test_a_hyphen_is_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("héé\r\n".encode()), encoding="ascii"))
    path = write(tmp_path / "a", "A")
    assert read_documents(["-", path]) == [Document("standard input", "héé\n"), Document(str(path), "A")]


def test_a_document_is_taken_as_it_is() -> None:
    document = Document("mine", "text")
    assert read_documents([document]) == [document]


def test_every_line_end_becomes_a_newline(tmp_path: Path) -> None:
    assert texts(read_documents([write(tmp_path / "a", b"1\r\n2\r3\n\r\n4")])) == ["1\n2\n3\n\n4"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_dropped(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a", "héllo".encode("utf-8-sig"))
    assert texts(read_documents([path], encoding)) == ["héllo"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1", "gb18030", "utf-8"])
def test_text_is_read_in_the_encoding_that_is_named(tmp_path: Path, encoding: str) -> None:
    text = "né à Liège\n" + ("" if encoding == "latin-1" else "中文 𝄞")
    path = write(tmp_path / "a", text.encode(encoding))
    assert texts(read_documents([path], encoding)) == [text]


def test_the_reference_text_is_that_of_python_with_a_document_a_topic() -> None:
    documents = reference_documents()
    assert len(documents) > 50
    assert characters(documents) > 300_000
    assert all(document.text.strip() for document in documents)


@pytest.mark.parametrize(
    ("data", "named", "remedy"),
    [
        (b"", "empty", "nothing to read"),
        (b" \n\t\r\n", "white space", "nothing to learn"),
        (b"abc\0def", "binary", "position 3"),
        (bytes(range(256)), "not utf-8", "--encoding"),
        ("né".encode("latin-1"), "byte 1 is 0xe9", "--encoding"),
        ("text".encode("utf-16-le"), "binary", "--encoding utf-16"),
    ],
)
def test_what_is_no_text_is_refused_by_name(tmp_path: Path, data: bytes, named: str, remedy: str) -> None:
    path = write(tmp_path / "bad.txt", data)
    with pytest.raises(DataError) as caught:
        read_documents([path])
    assert str(path) in str(caught.value)
    assert named in str(caught.value)
    assert remedy in str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.txt does not exist: give"):
        read_documents([tmp_path / "nowhere.txt"])


def test_an_empty_folder_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / ".hidden", "x")
    with pytest.raises(DataError, match="folder holds no files"):
        read_documents([tmp_path / "folder"])


def test_a_file_that_the_system_can_not_read_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    path = write(tmp_path / "secret.txt", "x")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"secret\.txt can't be read: Permission denied"):
        read_documents([path])


def test_a_text_given_in_place_of_a_file_name_is_refused() -> None:
    with pytest.raises(DataError, match="a text file"):
        read_documents(["It was the best of times, it was the worst of times. " * 20])


@pytest.mark.parametrize("encoding", ["utf-99", "klingon", "hex", "base64", "rot13", "zip"])
def test_an_encoding_that_is_not_one_of_text_is_refused_by_name(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(DataError, match=f"{encoding!r}"):
        read_documents([write(tmp_path / "a", "abc")], encoding)


_documents = st.lists(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).map(lambda text: Document("d", text)), min_size=1
)


@given(_documents, st.floats(0, 1))
def test_a_split_loses_nothing_and_cuts_where_the_fraction_says(documents: list[Document], fraction: float) -> None:
    documents = [Document(str(i), document.text) for i, document in enumerate(documents)]
    before, tail = split_tail(documents, fraction)
    whole = characters(documents)
    assert "".join(texts(before + tail)) == "".join(texts(documents))
    assert abs(characters(tail) - whole * fraction) <= 0.5
    assert all(document.text for document in before + tail)
    # Documents stay apart and in order; the cut goes through one at most.
    names = [document.name for document in before + tail]
    assert sorted(set(names), key=int) == [document.name for document in documents]
    assert len(names) - len(documents) in (0, 1)
    assert [int(name) for name in names] == sorted(int(name) for name in names)


def test_a_split_takes_the_end() -> None:
    before, tail = split_tail([Document("a", "12345"), Document("b", "67890")], 0.3)
    assert before == [Document("a", "12345"), Document("b", "67")]
    assert tail == [Document("b", "890")]
