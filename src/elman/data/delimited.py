"""Rows of CSV and TSV: cells, line numbers that hold after quoted line breaks, and whether the first row is a header."""

import csv
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence

from elman.data.bad_rows import BadRows
from elman.data.lines import LONGEST, Line

# What columns are often called: texts (and sources), then labels (and targets), the likeliest first.
TEXT_NAMES = (
    *("text", "sentence", "review", "question", "content", "comment", "message", "tweet", "utterance", "query", "body"),
    *("headline", "title", "description", "document", "name", "input", "x"),
)
LABEL_NAMES = (
    *("label", "labels", "class", "category", "sentiment", "intent", "emotion", "polarity", "language", "lang"),
    *("topic", "tag", "rating", "stars", "score", "target", "output", "y"),
)
SOURCE_NAMES = ("source", "src", "source_text", "input")
TARGET_NAMES = ("target", "tgt", "trg", "target_text", "translation", "output")
_OTHER_NAMES = ("id", "index", "idx", "label_text", "label_name", "unique_id", "ds", "date", "datetime", "timestamp")
# Names that are values as often: they make a header together only.
_WEAK_NAMES = "x y ar cs de el en es fa fi fr he hi hu it ja ko nl pl pt ro ru sv tr uk vi zh"
_WEAK = set(_WEAK_NAMES.split())
_STRONG = {*TEXT_NAMES, *LABEL_NAMES, *SOURCE_NAMES, *TARGET_NAMES, *_OTHER_NAMES} - _WEAK

_LONGEST_NAME = 64

Record = tuple[int, list[str]]


def plain_records(lines: Iterator[Line], name: str, bad: BadRows) -> Iterator[Record]:
    """TSV: (number, cells) of each line, split at tabs; a quotation mark is a character like others. No empty lines."""
    for line in lines:
        if line.wrong:
            bad.skip(f"{name}, line {line.number}", line.wrong)
        elif line.text.strip():
            yield line.number, line.text.split("\t")


def quoted_records(lines: Iterator[Line], delimiter: str, name: str, bad: BadRows) -> Iterator[Record]:
    """CSV: (number of its first line, cells) of each record. Empty lines are left out.

    A cell in quotation marks may hold delimiters, line breaks, and quotation marks, doubled. Where a mark is never closed
    (to the end, a wrong line, or `LONGEST` characters), or text follows a closing one, the line it stands in is a bad row,
    and reading goes on with the next line: what comes after isn't swallowed.
    """
    # A limit of the whole process, whose default is smaller than what elman allows.
    csv.field_size_limit(max(csv.field_size_limit(), 2 * LONGEST))
    again: deque[Line] = deque()
    while True:
        taken: list[Line] = []
        try:
            cells = next(csv.reader(_feed(again, lines, taken), delimiter=delimiter, strict=True), None)
        except csv.Error:
            bad.skip(
                f"{name}, line {taken[0].number}", "a quotation mark in it is not closed, or text follows a closing one"
            )
            again.extendleft(reversed(taken[1:]))
            continue
        if cells is None:
            if not taken:
                return
            bad.skip(f"{name}, line {taken[0].number}", str(taken[0].wrong))
        elif any(cells):
            yield taken[0].number, cells


def _feed(again: deque[Line], lines: Iterator[Line], taken: list[Line]) -> Iterator[str]:
    length = 0
    while length <= LONGEST:
        line = again.popleft() if again else next(lines, None)
        if line is None:
            return
        taken.append(line)
        if line.wrong:
            return
        length += len(line.text)
        yield line.text + "\n"


def delimiter_of(first_line: str) -> str:
    """A comma; where the first line has none, the semicolon or the tab that it has."""
    return next((sign for sign in ",;\t" if sign in first_line), ",")


def has_header(rows: Sequence[Sequence[str]], asked: Collection[str] = ()) -> bool:
    """Whether the first of some rows names the columns. The rule: it does

    - if one of its cells is a name that was `asked` for, and no number;
    - else if one of its cells is a name that columns often have (text, label, sentence, class, …; small or capital) and no
      value further down in that column, or all of them are (codes of languages then count too); names are distinct;
    - else if its cells are distinct, short and no numbers, and don't fit their columns: none is a value, or longer than half of
      the texts, further down, and one column at least has nothing but numbers further down, or nothing but
      few values that recur (at least 20 rows, at most a tenth as many values).
    """
    first, below = [cell.strip() for cell in rows[0]], [row for row in rows[1:] if len(row) == len(rows[0])]
    named = [cell for cell in first if cell]
    if not named or len(set(named)) < len(named):
        return False
    if any(cell in asked and not is_number(cell) for cell in named):
        return True
    columns = [[row[i].strip() for row in below] for i in range(len(first))]
    if all(cell.casefold() in _STRONG | _WEAK for cell in named) and len(named) > 1:
        return True
    if any(cell.casefold() in _STRONG and cell not in column for cell, column in zip(first, columns, strict=True)):
        return True
    if not below or len(named) < len(first):
        return False
    if any(is_number(cell) or len(cell) > _LONGEST_NAME for cell in first):
        return False
    kinds = [_against(cell, column) for cell, column in zip(first, columns, strict=True)]
    return None not in kinds and any(kinds)


def _against(cell: str, column: list[str]) -> bool | None:
    """True if `cell` can't be a value of `column`, None if it is one or looks like one, False if that can't be told."""
    if cell in column:
        return None
    if all(map(is_number, column)):
        return True
    values = set(column)
    if len(column) >= 20 and 10 * len(values) <= len(column):
        return True
    return None if len(cell) > sorted(map(len, column))[len(column) // 2] else False


def is_number(cell: str) -> bool:
    """Whether a cell is a number as Python writes them."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def usual_width(rows: Sequence[Sequence[str]]) -> int:
    """How many cells most rows have."""
    return Counter(map(len, rows)).most_common(1)[0][0]
