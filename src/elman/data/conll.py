"""Sentences whose words have tags: CoNLL-U, CoNLL columns, JSON lines."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elman.data.bad_rows import BadRows, check_enough
from elman.data.columns import known_column
from elman.data.examples import Reading, Sentence
from elman.data.lines import Line, read_lines, wrong_text
from elman.data.table import as_text, json_objects
from elman.data.text import STANDARD_INPUT, Document, Source, find_files, name_of
from elman.errors import DataError

CONLL_SUFFIXES = (".conllu", ".conll", ".iob", ".iob2", ".bio")
# The columns of CoNLL-U, in order: https://universaldependencies.org/format.html
UNIVERSAL = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
WORD_KEYS = ("words", "tokens", "forms")
TAG_KEYS = ("tags", "ner_tags", "pos_tags", "upos", "labels", "ner", "pos")

_SAMPLE = 1000
_ID = re.compile(r"\d+(?:([-.])\d+)?")
_BLANKS = re.compile(r"[ \t]+")
_DOCUMENT_START = "-DOCSTART-"


def read_sentences(
    sources: Sequence[Source],
    *,
    text: str | None = None,
    label: str | None = None,
    encoding: str = "utf-8",
    bad: BadRows,
    labelled: bool = True,
) -> Reading[Sentence]:
    """Read sentences from files, folders of them, documents, or "-" for standard input, each in one of these formats:

    - CoNLL-U: ten columns, separated by tabs. The word is FORM and the tag UPOS, unless `text` or `label` name another
      column or give its number. Comments, words that stand for several (1-2) and empty nodes (8.1) are left out. A word may
      hold spaces.
    - CoNLL columns, separated by tabs if the first line has one, else by blanks: the word is column 1 and the tag the last,
      unless `text` or `label` give a number. -DOCSTART- lines, and lines before a sentence that begin with "# " and have
      another number of columns, are left out.
    - JSON lines: {"words": [...], "tags": [...]}; other keys in `WORD_KEYS`, `TAG_KEYS`, or as `text` and `label` name them.

    Empty lines stand between sentences. A sentence with a bad line (another number of columns than most, no word, no tag,
    bytes that are no text) is a bad row, named by that line. `labelled=False`: tags are None where they are absent.

    Raises `DataError` for a column that isn't there, and where nothing, or less than half, can be used.
    """
    before = bad.count
    items: list[Sentence] = []
    understood: list[str] = []
    columns: dict[str, str] = {} if text is None else {"text": text}
    columns |= {} if label is None else {"label": label}
    for source in _files(sources):
        name = name_of(source)
        lines = read_lines(source, encoding)
        sample = list(itertools.islice(lines, _SAMPLE))
        lines = itertools.chain(sample, lines)
        kind = conll_format(sample)
        if kind == "jsonl":
            sentences, said = _json_sentences(lines, name, text, label, bad, labelled)
        else:
            layout = _layout(kind, sample, name, text, label, labelled)
            sentences, said = _sentences(lines, name, layout, bad, labelled), layout.said
        items += sentences
        understood.append(said)
    remedy = "there is no sentence with words" + (" and tags." if labelled else ".")
    check_enough(", ".join(map(name_of, sources)), len(items), bad.count - before, bad, remedy)
    return Reading(items, "; ".join(dict.fromkeys(understood)), columns)


def _files(sources: Sequence[Source]) -> Iterator[Source]:
    for source in sources:
        if isinstance(source, Document) or str(source) == STANDARD_INPUT:
            yield source
        else:
            files = find_files(Path(source))
            # What lies beside the data: a licence, a description.
            chosen = [file for file in files if file.suffix.lower() in (".conllu", ".conll", ".jsonl")]
            yield from chosen or files


def conll_format(sample: Sequence[Line]) -> str:
    """ "conllu", "jsonl", or else "conll", by the first lines."""
    texts = [line.text for line in sample if line.text.strip() and not line.wrong]
    if texts and texts[0].lstrip().startswith("{"):
        return "jsonl"
    words = [text.split("\t") for text in texts if not text.startswith("#")]
    universal = sum(len(cells) == len(UNIVERSAL) and _ID.fullmatch(cells[0]) is not None for cells in words)
    return "conllu" if 2 * universal > len(words) else "conll"


@dataclass(frozen=True)
class _Layout:
    """Where in a line the word and the tag stand: counted from 0; `tag` is None where there is none."""

    universal: bool
    tabs: bool
    width: int
    word: int
    tag: int | None
    said: str

    def cells(self, text: str) -> list[str]:
        return text.split("\t") if self.tabs else _BLANKS.split(text.strip(" \t"))


def _layout(
    kind: str, sample: Sequence[Line], name: str, text: str | None, label: str | None, labelled: bool
) -> _Layout:
    if kind == "conllu":
        word = _number(text or "FORM", UNIVERSAL, name, "text")
        tag = _number(label or "UPOS", UNIVERSAL, name, "label")
        said = f"CoNLL-U: the word is {UNIVERSAL[word]}, the tag {UNIVERSAL[tag]}"
        return _Layout(True, True, len(UNIVERSAL), word, tag, said)
    texts = [line.text for line in sample if line.text.strip(" \t") and not line.wrong]
    texts = [line for line in texts if not line.startswith(("# ", _DOCUMENT_START))] or texts
    tabs = bool(texts) and "\t" in texts[0]
    shape = _Layout(False, tabs, 0, 0, None, "")
    width = Counter(len(shape.cells(line)) for line in texts).most_common(1)[0][0] if texts else 0
    names = tuple(str(number) for number in range(1, width + 1))
    word = _number(text or "1", names, name, "text") if texts else 0
    if label is None or (not labelled and label not in names):
        tagged = width - 1 if width > 1 else None
    else:
        tagged = _number(label, names, name, "label")
    if labelled and texts and tagged is None:
        raise DataError(
            f"{name} has one column alone: a line needs a word and its tag, sentences an empty line between."
        )
    said = f"columns: the word is column {word + 1}" + ("" if tagged is None else f", the tag column {tagged + 1}")
    return _Layout(False, tabs, width, word, tagged, said)


def _number(column: str, names: Sequence[str], name: str, option: str) -> int:
    if column.isdecimal() and 1 <= int(column) <= len(names):
        return int(column) - 1
    if column.upper() in names:
        return names.index(column.upper())
    numbers = "" if names and names[0] == "1" else f" or a number from 1 to {len(names)}"
    raise DataError(f"{name} has no column {column!r}: name one of {', '.join(names)}{numbers} with --{option}.")


def _sentences(lines: Iterator[Line], name: str, layout: _Layout, bad: BadRows, labelled: bool) -> Iterator[Sentence]:
    start = 0
    found: list[tuple[str, str | None]] = []
    wrong: tuple[int, str] | None = None
    # An empty line at the end, so that the last sentence is ended too.
    for line in itertools.chain(lines, [Line(0, "")]):
        if line.wrong or line.text.strip(" \t"):
            word = _word(line, layout, labelled, before=not found)
            if word is None:
                continue
            start = start or line.number
            if isinstance(word, tuple):
                found.append(word)
            else:
                wrong = wrong or (line.number, word)
            continue
        if wrong:
            bad.skip(f"{name}, line {wrong[0]}", f"{wrong[1]} (its sentence begins at line {start})")
        elif found:
            tags = tuple(tag for _, tag in found if tag is not None)
            whole = len(tags) == len(found)
            yield Sentence(tuple(word for word, _ in found), tags if whole else None, f"{name}, line {start}")
        start, found, wrong = 0, [], None


def _word(line: Line, layout: _Layout, labelled: bool, before: bool) -> tuple[str, str | None] | str | None:
    """The word and the tag of a line, None where it holds none, or what is wrong with it."""
    if line.wrong:
        return line.wrong
    if layout.universal and line.text.startswith("#"):
        return None
    cells = layout.cells(line.text)
    if cells[0] == _DOCUMENT_START:
        return None
    if len(cells) != layout.width:
        if before and line.text.startswith("# "):
            return None
        return f"it has {len(cells)} column{'s' * (len(cells) != 1)}, but the others have {layout.width}"
    if layout.universal:
        number = _ID.fullmatch(cells[0])
        if number is None:
            return f"its first column, {cells[0][:20]!r}, is no word number"
        if number[1]:
            return None
    word = cells[layout.word].strip()
    tag = None if layout.tag is None else cells[layout.tag].strip()
    # In CoNLL-U "_" says that nothing is known; every word has a UPOS, but not every word has features.
    if not tag or (layout.universal and tag == "_" and layout.tag == UNIVERSAL.index("UPOS")):
        tag = None
    if not word:
        return "its word is empty"
    return "it has no tag" if labelled and tag is None else (word, tag)


def _json_sentences(
    lines: Iterator[Line], name: str, text: str | None, label: str | None, bad: BadRows, labelled: bool
) -> tuple[Iterator[Sentence], str]:
    objects = json_objects(lines, name, bad)
    sample = list(itertools.islice(objects, _SAMPLE))
    keys = list(dict.fromkeys(key for _, value in sample for key in value))
    word_key = text if text is not None else known_column(keys, WORD_KEYS)
    tag_key = label if label is not None else known_column(keys, TAG_KEYS)
    for key, known, option in ((word_key, WORD_KEYS, "text"), (tag_key, TAG_KEYS, "label")):
        if keys and key not in keys and (labelled or option == "text"):
            called = f"{key!r}" if key is not None else f"of the names {', '.join(known)}"
            raise DataError(f"{name} has no key {called}: name one of {', '.join(keys)} with --{option}.")

    def sentences() -> Iterator[Sentence]:
        for where, value in itertools.chain(sample, objects):
            words = _strings(value.get(word_key or ""))
            tags = _strings(value.get(tag_key or ""))
            if wrong := _wrong_lists(words, tags, str(word_key), str(tag_key), labelled):
                bad.skip(where, wrong)
            else:
                yield Sentence(words or (), tags or None, where)

    return sentences(), f"JSON lines: the words are {word_key!r}" + (
        f", the tags {tag_key!r}" if tag_key in keys else ""
    )


def _strings(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return ()
    return tuple(as_text(cell).strip() for cell in value) if isinstance(value, list) else None


def _wrong_lists(
    words: tuple[str, ...] | None, tags: tuple[str, ...] | None, word_key: str, tag_key: str, labelled: bool
) -> str | None:
    if words is None or tags is None:
        return f"its {word_key if words is None else tag_key!r} are no list"
    if not all(words) or not words:
        return "it has no words" if not words else "one of its words is empty"
    if tags and len(tags) != len(words):
        return f"it has {len(words)} words but {len(tags)} tags"
    if labelled and not (tags and all(tags)):
        return "it has no tags" if not tags else "one of its tags is empty"
    return next((wrong for cell in (*words, *tags) if (wrong := wrong_text(cell))), None)
