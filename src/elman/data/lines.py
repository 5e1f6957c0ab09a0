r"""Lines as they arrive, in constant memory, and what is wrong with one of them.

A line ends with "\n", "\r\n" or "\r". A wrong line doesn't end the reading: bytes that are no text in the encoding, a NUL
character, and more than `LONGEST` characters are told with the line, and what to do about it is the caller's business.
"""

import codecs
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from elman.data.decoding import unknown_encoding
from elman.data.text import STANDARD_INPUT, Document, Source, unreadable

LONGEST = 1_000_000

_MARK_BYTES = "elman.mark-bytes"


class Line(NamedTuple):
    """Line `number` (from 1) without its end; `wrong` says what is wrong with it, if something is."""

    number: int
    text: str
    wrong: str | None = None


def read_lines(source: Source, encoding: str = "utf-8") -> Iterator[Line]:
    """The lines of a file, a document, or standard input, each as soon as it is there; a byte order mark is dropped.

    Raises `DataError` for a file that can't be read and for an unknown encoding.
    """
    try:
        with _open(source, encoding) as stream:
            number = 0
            while text := stream.readline(LONGEST + 1):
                number += 1
                if number == 1:
                    text = text.removeprefix("\ufeff")
                if text.endswith("\n"):
                    text = text[:-1]
                elif len(text) > LONGEST:
                    length = len(text) + _skip_line(stream)
                    yield Line(number, "", f"it has {length:,} characters, more than {LONGEST:,}")
                    continue
                yield Line(number, text, wrong_text(text, encoding))
    except (LookupError, UnicodeError):
        raise unknown_encoding(encoding) from None
    except OSError as error:
        raise unreadable(Path(str(source)), error) from error


def wrong_text(text: str, encoding: str = "utf-8") -> str | None:
    """What is wrong with a text, or None: a NUL character, or what is no Unicode."""
    if "\0" in text:
        return "it holds a NUL character, so it is binary or in another encoding (--encoding utf-16, for example)"
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        byte = ord(text[error.start]) - 0xDC00
        if 0 <= byte <= 0xFF:
            return f"it is not {encoding} text (byte {byte:#04x} after {error.start} characters; see --encoding)"
        return f"it is no Unicode text (a lone surrogate after {error.start} characters)"
    return None


def _open(source: Source, encoding: str) -> TextIO:
    if isinstance(source, Document):
        return io.StringIO(source.text, newline=None)
    if str(source) != STANDARD_INPUT:
        return Path(source).open(encoding=encoding, errors=_MARK_BYTES, newline=None)
    try:
        # A buffer of our own: a thread that waits for a line must not hold the lock of `sys.stdin` when Python ends.
        return open(sys.stdin.fileno(), encoding=encoding, errors=_MARK_BYTES, newline=None, closefd=False)
    except (OSError, ValueError):
        # Standard input that is no file: replaced within Python.
        return io.TextIOWrapper(io.BytesIO(sys.stdin.buffer.read()), encoding, errors=_MARK_BYTES, newline=None)


def _skip_line(stream: TextIO) -> int:
    skipped = 0
    while piece := stream.readline(LONGEST):
        if piece.endswith("\n"):
            return skipped + len(piece) - 1
        skipped += len(piece)
    return skipped


def _mark_bytes(error: UnicodeError) -> tuple[str, int]:
    # Lone surrogates, which no decoder gives for a valid text, so that a wrong byte can be told afterwards.
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_MARK_BYTES, _mark_bytes)
