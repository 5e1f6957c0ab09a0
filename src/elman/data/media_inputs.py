"""Sound or video files to answer on, one by one: a file, a folder of files, a table of paths, or paths from standard input."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from elman.data.bad_rows import BadRows
from elman.data.columns import known_column, named_column
from elman.data.lines import read_lines
from elman.data.table import SAMPLE, SUFFIXES, read_table
from elman.data.text import STANDARD_INPUT, Document, Source, find_files, name_of
from elman.errors import DataError

PATH_NAMES = ("path", "file", "filename", "file_name", "filepath", "audio", "sound", "video", "clip", "recording")


def media_inputs(
    source: Source,
    is_media: Callable[[str], bool],
    what: str,
    *,
    column: str | None = None,
    encoding: str = "utf-8",
    bad: BadRows,
) -> Iterator[tuple[str, str]]:
    """(where, path) of each file, in constant memory; whether it can be read is not looked at.

    A folder gives those of its files that `is_media` (called `what` in messages); a table, by its name's ending, those of
    `column`, else of the column that holds such names or has a usual name, relative to its own folder; standard input
    has a path a line, and is answered as lines arrive. Raises `DataError` where there is none.
    """
    name = name_of(source)
    if isinstance(source, Document) or str(source) == STANDARD_INPUT:
        for line in read_lines(source, encoding):
            if line.wrong:
                bad.skip(f"{name}, line {line.number}", line.wrong)
            elif line.text.strip():
                yield line.text.strip(), line.text.strip()
        return
    if Path(source).suffix.lower() not in SUFFIXES:
        files = find_files(Path(source))
        found = [file for file in files if is_media(str(file))] if Path(source).is_dir() else files
        if not found:
            raise DataError(f"the folder {source} holds no {what}.")
        for file in found:
            yield str(file), str(file)
        return
    table = read_table(source, encoding=encoding, bad=bad, asked=[column, *PATH_NAMES])
    sample = list(itertools.islice(table.rows, SAMPLE))
    if column is not None:
        chosen: str | None = named_column(table, column, "text")
    else:
        fitting = (
            one for one in table.columns if 2 * sum(is_media(row.get(one, "")) for _, row in sample) >= len(sample)
        )
        chosen = next(fitting, None) or known_column(table.columns, PATH_NAMES)
    if chosen is None:
        raise DataError(f"{name} has the columns {', '.join(table.columns)}: none of them holds paths of {what}.")
    for where, row in itertools.chain(sample, table.rows):
        cell = row.get(chosen, "").strip()
        if cell:
            yield where, str(Path(source).parent / cell)
        else:
            bad.skip(where, f"its path (column {chosen!r}) is empty")
