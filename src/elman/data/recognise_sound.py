"""Which task of sound data is for, by its names and the first rows of tables."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from elman.data.bad_rows import BadRows
from elman.data.columns import known_column, steadiest_column
from elman.data.sound_columns import END_NAMES, EVENT_NAMES, PATH_NAMES, SPOKEN_NAMES, START_NAMES, sound_column
from elman.data.sounds import sound_folders
from elman.data.table import SAMPLE, read_table, table_format
from elman.data.text import Document, Source, find_files, name_of


def sounds_task(sources: Sequence[Source], encoding: str) -> tuple[str, str] | None:
    """The task, and the reason; or None for what is no sound.

    A folder of folders of sounds → classify-sound. A table with a column of sound files: with starts, ends and labels →
    tag-sound; with a column that is called as what is said → transcribe; else, if few labels recur → classify-sound; else
    → transcribe. Raises `DataError` for what can't be read.
    """
    for source in sources:
        if folders := sound_folders(source):
            return "classify-sound", f"{source} is a folder of {len(folders)} folders of sounds, each taken as a class."
    for source in sources:
        files = [source] if isinstance(source, Document) else find_files(Path(source))
        for file in files:
            if table_format(file, encoding) and (task := _by_table(file, encoding)):
                return task
    return None


def _by_table(file: Source, encoding: str) -> tuple[str, str] | None:
    table = read_table(file, encoding=encoding, bad=BadRows(), asked=[*PATH_NAMES, *START_NAMES, *SPOKEN_NAMES])
    sample = list(itertools.islice(table.rows, SAMPLE))
    path = sound_column(table.columns, sample)
    if path is None:
        return None
    name, free = name_of(file), [column for column in table.columns if column != path]
    said = f"{name} is a table of sound files (column {path!r})"
    start, end = known_column(free, START_NAMES), known_column(free, END_NAMES)
    spoken, label = known_column(free, SPOKEN_NAMES), known_column(free, EVENT_NAMES)
    if spoken is None and label and start and end:
        return "tag-sound", f"{said} with events (columns {start!r}, {end!r} and {label!r})."
    if spoken is not None:
        return "transcribe", f"{said} with what is said in them (column {spoken!r})."
    free = [column for column in free if column not in (start, end)]
    if not free:
        return None
    label = label or steadiest_column(free, sample)
    labels = [row.get(label, "").strip() for _, row in sample]
    if 2 * len(set(labels)) <= len(labels) or not any(" " in each for each in labels):
        return "classify-sound", f"{said} with labels (column {label!r})."
    return "transcribe", f"{said} with texts (column {label!r})."
