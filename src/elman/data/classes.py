"""Texts and their classes: from tables, from a folder a class, from a file a class."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from elman.data.bad_rows import BadRows, check_enough
from elman.data.columns import has_column, known_column, label_column, named_column, text_column
from elman.data.delimited import LABEL_NAMES
from elman.data.examples import Example, Reading
from elman.data.lines import LONGEST, read_lines
from elman.data.table import SAMPLE, SUFFIXES, Row, Table, read_table, table_format
from elman.data.text import STANDARD_INPUT, Document, Source, find_files, name_of, read_documents
from elman.errors import DataError

MOST_CLASSES = 1000
_FEW_ROWS = 50


def read_examples(
    sources: Sequence[Source],
    *,
    text: str | None = None,
    label: str | None = None,
    encoding: str = "utf-8",
    bad: BadRows,
    labelled: bool = True,
    training: bool = True,
) -> Reading[Example]:
    """Read texts and labels from

    - tables (see `read_table`): files, documents, or "-" for standard input;
    - a folder with a subfolder a class, in which each file, however deep, is a text;
    - a folder of text files, or several text files, which are a class each, with a text a line: the class is the file's stem.

    A table's columns are those that `text` and `label` name, else those with a name from `TEXT_NAMES` and `LABEL_NAMES`,
    else the one of the longest texts and the one of fewest distinct values among the first `SAMPLE` rows.
    `Reading.understood` says which were taken.

    Bad rows: an empty text, an empty label, and those of `read_table`. `labelled=False`: a label is None where it is absent,
    and no label column is guessed by its values. `training=False` (other parts): one class alone is no error.

    Raises `DataError` for missing columns, free text in place of labels, one class only, and where nothing, or less than half,
    can be used.
    """
    names, before = ", ".join(map(name_of, sources)), bad.count
    if labelled or not _are_lines(sources, encoding):
        reading = _read(sources, text, label, encoding, bad, labelled)
    else:
        reading = Reading(list(_unlabelled(sources, encoding, bad)), f"{names}: a text a line")
    remedy = "there is no row with a text" + (" and a label." if labelled else ".")
    check_enough(names, len(reading.items), bad.count - before, bad, remedy)
    if labelled:
        _check_classes(reading, names, training)
    return reading


def _read(
    sources: Sequence[Source], text: str | None, label: str | None, encoding: str, bad: BadRows, labelled: bool
) -> Reading[Example]:
    if files := _class_files(sources, encoding):
        lines = itertools.chain.from_iterable(_class_of_lines(file, encoding, bad) for file in files)
        return Reading(list(_good(lines, bad)), f"a class a file ({len(files)}), with a text a line")
    items: list[Example] = []
    understood: list[str] = []
    columns: dict[str, str] = {}
    for source in sources:
        if isinstance(source, Document) or str(source) == STANDARD_INPUT or not Path(source).is_dir():
            tables = [source]
        elif folders := class_folders(Path(source)):
            texts = itertools.chain.from_iterable(_class_of_files(folder, encoding, bad) for folder in folders)
            items += _good(texts, bad)
            understood.append(f"a class a folder ({len(folders)}), with a text a file")
            continue
        else:
            tables = [*find_files(Path(source))]
        for each in tables:
            asked = columns.get("text", text), columns.get("label", label)
            table = read_table(each, encoding=encoding, bad=bad, asked=asked)
            taken, said = _columns(table, *asked, labelled)
            understood.append(said)
            columns |= taken.chosen
            items += _good(_from_table(taken, bad, labelled), bad)
    return Reading(items, "; ".join(dict.fromkeys(understood)), columns)


@dataclass(frozen=True)
class _Taken:
    """A table's rows with the columns that were chosen."""

    rows: Iterator[Row]
    text: str
    label: str | None

    @property
    def chosen(self) -> dict[str, str]:
        return {"text": self.text} | ({} if self.label is None else {"label": self.label})


def _columns(table: Table, text: str | None, label: str | None, labelled: bool) -> tuple[_Taken, str]:
    sample = list(itertools.islice(table.rows, SAMPLE))
    rows = itertools.chain(sample, table.rows)
    if labelled:
        known = label or (known_column(table.columns, LABEL_NAMES) if text is None else None)
        # A name that both texts and labels have ("name", "class") must leave a column for the other.
        chosen = text_column(table, sample, text, known if len(table.columns) > 1 else None)
        label = label_column(table, sample, label, chosen)
    else:
        if len(table.columns) == 1:
            return _Taken(rows, table.columns[0], None), f"the text is column {table.columns[0]!r}"
        if label is not None:
            label = named_column(table, label, "label") if has_column(table, label) else None
        label = label or known_column([column for column in table.columns if column != text], LABEL_NAMES)
        chosen = text_column(table, sample, text, label)
    if chosen == label:
        raise DataError(f"the text and the label can't both be the column {label!r} of {table.name}.")
    said = f"the text is column {chosen!r}" + ("" if label is None else f", the label column {label!r}")
    return _Taken(rows, chosen, label), said


def _from_table(taken: _Taken, bad: BadRows, labelled: bool) -> Iterator[Example]:
    for where, row in taken.rows:
        label = row.get(taken.label, "").strip() if taken.label is not None else ""
        if labelled and not label:
            bad.skip(where, f"its label (column {taken.label!r}) is empty")
        else:
            yield Example(row.get(taken.text, ""), label or None, where)


def _good(examples: Iterator[Example], bad: BadRows) -> Iterator[Example]:
    for example in examples:
        if example.text.strip():
            yield example
        else:
            bad.skip(example.where, "its text is empty")


def class_folders(path: Path) -> list[Path]:
    """The subfolders of a folder that hold files, hidden ones apart, in order of name."""
    return sorted({path / file.relative_to(path).parts[0] for file in find_files(path) if file.parent != path})


def _class_of_files(folder: Path, encoding: str, bad: BadRows) -> Iterator[Example]:
    for file in find_files(folder):
        try:
            text = read_documents([file], encoding)[0].text
        except DataError as error:
            bad.skip(str(file), str(error).removeprefix(f"{file} ").rstrip("."))
            continue
        if len(text) > LONGEST:
            bad.skip(str(file), f"it has {len(text):,} characters, more than {LONGEST:,}")
        else:
            yield Example(text, folder.name, str(file))


def _class_files(sources: Sequence[Source], encoding: str) -> list[Path]:
    """The text files that are a class each: those of one folder without subfolders, or several that were named."""
    paths = [Path(source) for source in sources if not isinstance(source, Document) and str(source) != STANDARD_INPUT]
    if len(paths) < len(sources):
        return []
    files = [file for path in paths for file in find_files(path)]
    if any(class_folders(path) for path in paths if path.is_dir()):
        return []
    named = len(paths) == 1 and not paths[0].is_dir()
    if named or any(file.suffix.lower() in SUFFIXES or table_format(file, encoding) for file in files):
        return []
    return files


def _class_of_lines(file: Path, encoding: str, bad: BadRows) -> Iterator[Example]:
    for line in read_lines(file, encoding):
        where = f"{file}, line {line.number}"
        if line.wrong:
            bad.skip(where, line.wrong)
        elif line.text.strip():
            yield Example(line.text, file.stem, where)


def _are_lines(sources: Sequence[Source], encoding: str) -> bool:
    return all(
        not isinstance(source, Document) and str(source) != STANDARD_INPUT and table_format(source, encoding) is None
        for source in sources
    ) and not any(Path(str(source)).is_dir() for source in sources)


def _unlabelled(sources: Sequence[Source], encoding: str, bad: BadRows) -> Iterator[Example]:
    for source in sources:
        for line in read_lines(source, encoding):
            if line.wrong:
                bad.skip(f"{name_of(source)}, line {line.number}", line.wrong)
            elif line.text.strip():
                yield Example(line.text, None, f"{name_of(source)}, line {line.number}")


def _check_classes(reading: Reading[Example], names: str, training: bool) -> None:
    distinct = {example.label for example in reading.items}
    rows = len(reading.items)
    column = f"the column {reading.columns['label']!r}" if "label" in reading.columns else "what gives the class"
    if len(distinct) > MOST_CLASSES or (rows >= _FEW_ROWS and 2 * len(distinct) > rows):
        raise DataError(
            f"{names}: {column} has {len(distinct):,} distinct values in {rows:,} rows, so it looks like free "
            "text and not like labels: name the column of the labels with --label."
        )
    if training and len(distinct) == 1:
        raise DataError(
            f"{names}: {column} has the value {distinct.pop()!r} alone: there must be two classes at least. "
            "Give more data, or name another column with --label."
        )
