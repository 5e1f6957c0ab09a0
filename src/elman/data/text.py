"""Texts: from files, folders, standard input, or the reference text that every Python carries.

A text is a list of documents. A network starts each document with a fresh state, so a document is what belongs together:
a file is one.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from elman.errors import DataError

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Document:
    """A text, and the name of what it was read from."""

    name: str
    text: str


# What a text can be read from: a path, "-", or a document that has been read already.
Source = str | Path | Document


def read_documents(sources: Sequence[Source], encoding: str = "utf-8") -> list[Document]:
    r"""Read each source: a file, a folder (all its files, hidden ones apart, in order of name), or "-" for standard input.

    Line ends become "\n"; a byte order mark is dropped. Raises `DataError` for what is missing, empty, binary or not in
    `encoding`.
    """
    documents: list[Document] = []
    for source in sources:
        if isinstance(source, Document):
            documents.append(source)
        elif str(source) == STANDARD_INPUT:
            documents.append(_document(name_of(source), sys.stdin.buffer.read(), encoding))
        else:
            documents += [_document(str(path), _read(path), encoding) for path in find_files(Path(source))]
    return documents


def reference_documents() -> list[Document]:
    """The reference text that every Python installation carries: its help topics, a document each."""
    from pydoc_data.topics import topics  # noqa: PLC0415

    return [Document(f"pydoc_data.topics[{name!r}]", text) for name, text in topics.items()]


def split_tail(documents: Sequence[Document], fraction: float) -> tuple[list[Document], list[Document]]:
    """Hold out the last `fraction` of the characters; a document that the cut goes through is cut in two."""
    held_out = round(sum(len(document.text) for document in documents) * fraction)
    before, tail = list(documents), []
    while held_out > 0 and before:
        last = before.pop()
        keep = max(len(last.text) - held_out, 0)
        held_out -= len(last.text) - keep
        tail.append(Document(last.name, last.text[keep:]))
        if keep:
            before.append(Document(last.name, last.text[:keep]))
    return before, tail[::-1]


def name_of(source: Source) -> str:
    """What messages call a source."""
    if isinstance(source, Document):
        return source.name
    return "standard input" if str(source) == STANDARD_INPUT else str(source)


def characters(documents: Sequence[Document]) -> int:
    """How many characters the documents have together."""
    return sum(len(document.text) for document in documents)


def find_files(path: Path) -> list[Path]:
    """The file itself, or all files in a folder, in order of name; hidden ones apart. Raises `DataError` if there is none."""
    try:
        if not path.exists():
            raise DataError(f"{path} does not exist: give a text file, a folder of them, or - for standard input.")
        if not path.is_dir():
            return [path]
        found = sorted(
            file
            for file in path.rglob("*")
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
    except OSError as error:
        raise unreadable(path, error) from error
    if not found:
        raise DataError(f"the folder {path} holds no files: give a folder with text files in it.")
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that the system won't give."""
    return DataError(f"{path} can't be read: {error.strerror}; give a text file.")


def unknown_encoding(encoding: str) -> DataError:
    """The error for a name that is no encoding of text."""
    return DataError(f"the encoding {encoding!r} is not known: try utf-8, latin-1, gb18030 or utf-16.")


def _document(name: str, data: bytes, encoding: str) -> Document:
    if not data:
        raise DataError(f"{name} is empty: there is nothing to read.")
    try:
        text = data.decode(encoding)
    except LookupError:
        raise unknown_encoding(encoding) from None
    except UnicodeError as error:
        where = (
            f"byte {error.start} is {data[error.start]:#04x}" if isinstance(error, UnicodeDecodeError) else str(error)
        )
        raise DataError(
            f"{name} is not {encoding} text ({where}): name its encoding with --encoding, for example latin-1 or gb18030."
        ) from error
    if "\0" in text:
        raise DataError(
            f"{name} is a binary file (a NUL character at position {text.index(chr(0))}): give text. "
            "If it is text in UTF-16, say --encoding utf-16."
        )
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise DataError(f"{name} holds nothing but white space: there is nothing to learn from.")
    return Document(name, text)
