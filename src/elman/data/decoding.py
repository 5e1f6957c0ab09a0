"""Bytes to text, piece by piece, in constant memory."""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from elman.data.watch import tell
from elman.errors import DataError

_BLOCK = 1 << 20


def decoded(file: BinaryIO, name: str, encoding: str) -> Iterator[str]:
    r"""The text of a file in pieces, none of them empty. Line ends become "\n"; a byte order mark is dropped.

    Raises `DataError` if the file is empty, binary or not in `encoding`, at the place where that shows.
    """
    decoder = _decoder(encoding)
    read = characters = 0
    while True:
        block = file.read(_BLOCK)
        read += len(block)
        tell(name, read)
        if not read:
            raise DataError(f"{name} is empty: there is nothing to read.")
        try:
            piece = decoder.decode(block, final=not block)
        except UnicodeError as error:
            raise _not_text(name, encoding, error, read) from error
        if not characters:
            piece = piece.removeprefix("\ufeff")
        if "\0" in piece:
            raise DataError(
                f"{name} is a binary file (a NUL character at position {characters + piece.index(chr(0))}): give text. "
                "If it is text in UTF-16, say --encoding utf-16."
            )
        characters += len(piece)
        if piece:
            yield piece
        if not block:
            return


def unknown_encoding(encoding: str) -> DataError:
    """The error for a name that is no encoding of text."""
    return DataError(f"the encoding {encoding!r} is not known: try utf-8, latin-1, gb18030 or utf-16.")


def _decoder(encoding: str) -> io.IncrementalNewlineDecoder:
    try:
        # Some codecs turn bytes into bytes, or text into text: `decode` tells them from encodings, given something to decode.
        b" ".decode(encoding, "replace")
        return io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    except (LookupError, UnicodeError):
        raise unknown_encoding(encoding) from None


def _not_text(name: str, encoding: str, error: UnicodeError, read: int) -> DataError:
    where = str(error)
    if isinstance(error, UnicodeDecodeError):
        # What it was given ends where reading has come to.
        place = read - len(error.object) + error.start
        where = f"byte {place} is {error.object[error.start]:#04x}"
    return DataError(
        f"{name} is not {encoding} text ({where}): name its encoding with --encoding, for example latin-1 or gb18030."
    )
