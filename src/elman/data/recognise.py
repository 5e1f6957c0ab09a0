"""What data is for, by its names and its first lines."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from elman.data.bad_rows import BadRows
from elman.data.classes import class_folders
from elman.data.columns import known_column, longest_column, steadiest_column
from elman.data.conll import CONLL_SUFFIXES, TAG_KEYS, WORD_KEYS, conll_format
from elman.data.delimited import LABEL_NAMES, TARGET_NAMES, TEXT_NAMES, is_number
from elman.data.lines import Line, read_lines
from elman.data.parallel import are_two_texts
from elman.data.recognise_signals import signals_task
from elman.data.recognise_sound import sounds_task
from elman.data.series_table import series_by_content
from elman.data.table import SAMPLE, Table, read_table, table_format
from elman.data.text import STANDARD_INPUT, Document, Source, find_files, name_of

_FIRST = 200


def recognise(sources: Sequence[Source], encoding: str = "utf-8") -> tuple[str, str]:
    """The task that the data looks made for, as `--task` calls it, and the reason, a sentence for the user.

    Series with classes, and video → see `signals_task`. Sound, and tables of sound files → see `sounds_task`. CoNLL-U, CoNLL
    columns, JSON lines of words → tag. A table with a time and nothing but numbers besides → forecast; one with texts and
    labels → classify; one with two texts → translate. A folder of folders of texts → classify. Two text files with equally
    many lines → translate. All else is text → lm; standard input too, which can't be looked at ahead.
    Raises `DataError` for what can't be read.
    """
    if any(not isinstance(source, Document) and str(source) == STANDARD_INPUT for source in sources):
        return "lm", "Standard input is taken as text to go on with: name another --task if it is something else."
    files = [
        file for source in sources for file in ([source] if isinstance(source, Document) else find_files(Path(source)))
    ]
    if task := signals_task(sources, encoding) or sounds_task(sources, encoding):
        return task
    tabular = next((file for file in files if Path(name_of(file)).suffix.lower() in CONLL_SUFFIXES), files[0])
    if task := _by_content(tabular, encoding):
        return task
    folders = [Path(str(source)) for source in sources if not isinstance(source, Document) and Path(source).is_dir()]
    if len(sources) == 1 and folders:
        classes = class_folders(folders[0])
        if len(classes) > 1 and _is_text(find_files(classes[0])[0], encoding):
            return (
                "classify",
                f"{folders[0]} is a folder of {len(classes)} folders, so each is taken as a class of texts.",
            )
        if len(files) > 1:
            return (
                "lm",
                f"{folders[0]} is a folder of {len(files)} text files, taken as text to go on with: "
                "`--task classify` reads it as a class a file, with an example a line.",
            )
    if len(files) == 2:
        count = _equal_lines(files[0], files[1], encoding)
        if count > 1:
            return (
                "translate",
                f"{name_of(files[0])} and {name_of(files[1])} have {count:,} lines each, so they are taken as texts and "
                "translations, line by line.",
            )
    return "lm", f"{name_of(files[0])} is text without columns, so it is taken as text to go on with."


def _by_content(file: Source, encoding: str) -> tuple[str, str] | None:
    name = name_of(file)
    if Path(name).suffix.lower() in CONLL_SUFFIXES:
        return "tag", f"{name} holds words and tags in CoNLL's columns."
    kind = table_format(file, encoding)
    if kind is None:
        first = list(itertools.islice(read_lines(file, encoding), _FIRST))
        if conll_format(first) == "conllu" or _are_tagged_words(first):
            return "tag", f"{name} has words and tags in columns, and empty lines between sentences."
        return None
    table = read_table(file, encoding=encoding, bad=BadRows())
    columns = ", ".join(table.columns)
    if kind == "jsonl" and known_column(table.columns, WORD_KEYS) and known_column(table.columns, TAG_KEYS):
        return "tag", f"{name} has lists of words and tags (keys {columns})."
    sample = list(itertools.islice(table.rows, SAMPLE))
    table = Table(name, table.columns, iter(sample))
    if series := series_by_content(table, sample):
        return "forecast", f"{name} is a table of {series}."
    if len(table.columns) > 1 and (pair := _text_and_label(table, sample)):
        return "classify", f"{name} is a table with texts (column {pair[0]!r}) and labels (column {pair[1]!r})."
    if are_two_texts(table):
        return "translate", f"{name} is a table with two columns of texts ({columns})."
    return (
        "lm",
        f"{name} is a table (columns {columns}) without labels or translations, so it is taken as text to go on with.",
    )


def _text_and_label(table: Table, sample: Sequence[tuple[str, dict[str, str]]]) -> tuple[str, str] | None:
    known = known_column(table.columns, LABEL_NAMES)
    others = [column for column in table.columns if column != known]
    text = known_column(others, TEXT_NAMES) or longest_column(others, sample)
    label = known or steadiest_column([column for column in table.columns if column != text], sample)
    texts = [row.get(text, "") for _, row in sample]
    labels = [row.get(label, "").strip() for _, row in sample]
    if 2 * sum(any(map(str.isalpha, cell)) for cell in texts) < len(texts):
        return None
    # A measured number is no label, however often it recurs: 0.5, but not 1.
    if known is None and any(is_number(cell) and not cell.lstrip("-").isdecimal() for cell in labels):
        return None
    # What is called target may be either.
    sure = known is not None and known.casefold() not in TARGET_NAMES
    few = sure and len(labels) < 10 and not any(" " in cell for cell in labels)
    return (text, label) if few or 2 * len(set(labels)) <= len(labels) else None


def _are_tagged_words(lines: Sequence[Line]) -> bool:
    """Whether there are sentences a word a line: columns of one number throughout, and few values in the last."""
    words = [line.text.split() for line in lines if line.text.strip() and not line.text.startswith("-DOCSTART-")]
    empty = any(not line.text.strip() for line in lines[:-1])
    widths = {len(cells) for cells in words}
    if not empty or len(widths) != 1 or widths == {1} or len(words) < 4:
        return False
    return 2 * len({cells[-1] for cells in words}) <= len(words)


def _is_text(file: Path, encoding: str) -> bool:
    return not any(line.wrong for line in itertools.islice(read_lines(file, encoding), _FIRST))


def _equal_lines(first: Source, second: Source, encoding: str) -> int:
    """How many lines both have, or 0 where the numbers differ."""
    missing = Line(0, "")
    count = 0
    for one, other in itertools.zip_longest(
        read_lines(first, encoding), read_lines(second, encoding), fillvalue=missing
    ):
        if one is missing or other is missing:
            return 0
        count += 1
    return count
