"""Texts: from files, folders, standard input, or the reference text that every Python carries.

A text is a list of documents. A network starts each document with a fresh state, so a document is what belongs together:
a file is one. A file may be larger than memory: `open_documents` gives `TextFile`s, which are read piece by piece, each time
that they are asked for their text; `read_documents` reads whole files.
"""

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from elman.data.decoding import decoded
from elman.errors import DataError

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Document:
    """A text, and the name of what it was read from."""

    name: str
    text: str

    @property
    def length(self) -> int:
        """Its characters."""
        return len(self.text)

    def pieces(self) -> Iterator[str]:
        """The text; a `TextFile` gives it in pieces."""
        if self.text:
            yield self.text

    def part(self, start: int, stop: int) -> "Document":
        """The characters from `start` on, before `stop`."""
        return Document(self.name, self.text[start:stop])


@dataclass(frozen=True)
class TextFile:
    """The characters of a text file from `start` on, before `stop`: read when they are asked for."""

    path: Path
    encoding: str
    start: int
    stop: int

    @classmethod
    def open(cls, path: Path, encoding: str) -> "TextFile":
        """A whole file, read through once. Raises `DataError` if it is missing, empty, binary or not in `encoding`."""
        length, blank = 0, True
        for piece in _pieces(path, encoding):
            length += len(piece)
            blank = blank and not piece.strip()
        if blank:
            raise nothing_in(str(path))
        return cls(path, encoding, 0, length)

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def length(self) -> int:
        """Its characters."""
        return self.stop - self.start

    def pieces(self) -> Iterator[str]:
        """The text, a piece at a time: none is empty. Raises `DataError` if the file has become shorter."""
        at = 0
        for piece in _pieces(self.path, self.encoding):
            cut = piece[max(self.start - at, 0) : max(self.stop - at, 0)]
            at += len(piece)
            if cut:
                yield cut
            if at >= self.stop:
                return
        if at < self.stop:
            raise DataError(f"{self.path} became shorter while it was being read: leave it as it is, and start again.")

    def part(self, start: int, stop: int) -> "TextFile":
        """The characters from `start` on, before `stop`."""
        return replace(self, start=self.start + start, stop=min(self.start + stop, self.stop))


# A document, in memory or not.
Text = Document | TextFile

# What a text can be read from: a path, "-", or a document that has been read already.
Source = str | Path | Document


def open_documents(sources: Sequence[Source], encoding: str = "utf-8") -> list[Text]:
    """The documents of each source: a file, a folder (all its files, hidden ones apart, in order of name), or "-".

    Files stay where they are; standard input is read. Raises `DataError` as `read_documents` does.
    """
    documents: list[Text] = []
    for source in sources:
        if isinstance(source, Document):
            documents.append(source)
        elif str(source) == STANDARD_INPUT:
            documents.append(_standard_input(encoding))
        else:
            documents += [TextFile.open(path, encoding) for path in find_files(Path(source))]
    return documents


def read_documents(sources: Sequence[Source], encoding: str = "utf-8") -> list[Document]:
    r"""Read each source: a file, a folder (all its files, hidden ones apart, in order of name), or "-" for standard input.

    Line ends become "\n"; a byte order mark is dropped. Raises `DataError` for what is missing, empty, binary or not in
    `encoding`.
    """
    return [Document(text.name, "".join(text.pieces())) for text in open_documents(sources, encoding)]


def reference_documents() -> list[Document]:
    """The reference text that every Python installation carries: its help topics, a document each."""
    from pydoc_data.topics import topics  # noqa: PLC0415

    return [Document(f"pydoc_data.topics[{name!r}]", text) for name, text in topics.items()]


def split_tail(documents: Sequence[Text], fraction: float, at_most: int | None = None) -> tuple[list[Text], list[Text]]:
    """Hold out the last `fraction` of the characters, `at_most` so many; a document that the cut goes through is cut in two."""
    held_out = round(characters(documents) * fraction)
    held_out = held_out if at_most is None else min(held_out, at_most)
    before, tail = list(documents), []
    while held_out > 0 and before:
        last = before.pop()
        keep = max(last.length - held_out, 0)
        held_out -= last.length - keep
        tail.append(last.part(keep, last.length))
        if keep:
            before.append(last.part(0, keep))
    return before, tail[::-1]


def name_of(source: Source) -> str:
    """What messages call a source."""
    if isinstance(source, Document):
        return source.name
    return "standard input" if str(source) == STANDARD_INPUT else str(source)


def characters(documents: Sequence[Text]) -> int:
    """How many characters the documents have together."""
    return sum(document.length for document in documents)


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


def _pieces(path: Path, encoding: str) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            yield from decoded(file, str(path), encoding)
    except OSError as error:
        raise unreadable(path, error) from error


def _standard_input(encoding: str) -> Document:
    name = name_of(STANDARD_INPUT)
    text = "".join(decoded(io.BytesIO(sys.stdin.buffer.read()), name, encoding))
    if not text.strip():
        raise nothing_in(name)
    return Document(name, text)


def nothing_in(name: str) -> DataError:
    """The error for a text of white space alone."""
    return DataError(f"{name} holds nothing but white space: there is nothing to learn from.")


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that the system won't give."""
    return DataError(f"{path} can't be read: {error.strerror}; give a text file.")
