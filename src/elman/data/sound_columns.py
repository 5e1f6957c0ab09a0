"""Which columns of a table of sounds hold what, and their cells, checked.

path         as named, else the first column most of whose cells are called as sound files, else that of a known name
start, end   as named, else those of known names, else, if they must be there, the first two that hold nothing but numbers
label        as named, else that of a known name, else the one of fewest distinct values
text         as named, else that of a known name, else the one of the longest texts
group        as named
"""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from elman.data.bad_rows import BadRows
from elman.data.columns import has_column, known_column, longest_column, named_column, steadiest_column
from elman.data.delimited import LABEL_NAMES, TEXT_NAMES, is_number
from elman.data.sound import is_sound
from elman.data.table import SAMPLE, Row, Table, read_table
from elman.data.text import STANDARD_INPUT, Document, Source
from elman.errors import DataError

PATH_NAMES = (
    *(
        "path",
        "file",
        "filename",
        "file_name",
        "filepath",
        "audio",
        "audio_path",
        "audio_filepath",
        "audio_file",
        "wav",
    ),
    *("sound", "clip", "recording", "slice_file_name"),
)
START_NAMES = ("start", "onset", "begin", "start_time", "tmin")
END_NAMES = ("end", "offset", "stop", "end_time", "tmax")
SPOKEN_NAMES = ("text", "sentence", "transcript", "transcription", "words", "utterance", "normalized_text")
EVENT_NAMES = ("label", "event_label", "event", *LABEL_NAMES)

_KNOWN = {
    "path": PATH_NAMES,
    "start": START_NAMES,
    "end": END_NAMES,
    "label": EVENT_NAMES,
    "text": (*SPOKEN_NAMES, *TEXT_NAMES),
    "group": (),
}


def read_cells(
    source: Source,
    asked: Mapping[str, str | None],
    required: Collection[str],
    encoding: str,
    bad: BadRows,
    silent_rows: bool = False,
) -> tuple[list[dict[str, Any]], dict[str, str], str]:
    """The rows of a table as {"path", "start", "end", "label" or "text", "group", "where"}, checked; the columns that were
    taken for these, by option; and that in words.

    `asked` has the column of each role that there may be, or None; those `required` must be found. With `silent_rows` a row
    of a path alone is none that lacks something. Raises `DataError` for a column that isn't there.
    """
    names = [*(name for name in asked.values() if name), *itertools.chain(*(_KNOWN[role] for role in asked))]
    table = read_table(source, encoding=encoding, bad=bad, asked=names)
    sample = list(itertools.islice(table.rows, SAMPLE))
    columns = find_columns(table, sample, asked, required)
    folder = Path()
    if not isinstance(source, Document) and str(source) != STANDARD_INPUT:
        folder = Path(source).parent
    rows = []
    for where, row in itertools.chain(sample, table.rows):
        cells = {role: row.get(column, "").strip() for role, column in columns.items()}
        silent = silent_rows and not any(cells.get(role) for role in ("start", "end", "label"))
        wrong = _wrong(cells, [] if silent else required, columns)
        if wrong:
            bad.skip(where, wrong)
            continue
        values = {role: cells.get(role) or None for role in ("label", "text")}
        start, end = cells.get("start"), cells.get("end")
        rows.append(
            {
                **values,
                "path": str(folder / cells["path"]),
                "start": float(start) if start else 0.0,
                "end": float(end) if end else None,
                "group": cells.get("group", ""),
                "where": where,
            }
        )
    told = ", ".join(f"the {role} is column {column!r}" for role, column in columns.items())
    return rows, columns, told


def find_columns(
    table: Table, sample: Sequence[Row], asked: Mapping[str, str | None], required: Collection[str]
) -> dict[str, str]:
    """The column of each role. Raises `DataError` if one that is required, or was named, isn't there."""
    columns: dict[str, str] = {}
    for role, name in asked.items():
        if name is not None and (role in required or has_column(table, name) or role == "group"):
            columns[role] = named_column(table, name, role)
    for role in asked:
        free = [column for column in table.columns if column not in columns.values()]
        if role not in columns and (found := _guess(role, free, sample, role in required)):
            columns[role] = found
    missing = [role for role in required if role not in columns]
    if missing:
        raise DataError(
            f"{table.name} has the columns {', '.join(table.columns)}: none of them looks like the {missing[0]}. Name it with "
            f"--{missing[0]}."
        )
    return {role: columns[role] for role in asked if role in columns}


def sound_column(columns: Sequence[str], sample: Sequence[Row]) -> str | None:
    """The first column at least half of whose cells are called as sound files, or None."""
    return next(
        (
            column
            for column in columns
            if sample and 2 * sum(is_sound(row.get(column, "")) for _, row in sample) >= len(sample)
        ),
        None,
    )


def _guess(role: str, free: Sequence[str], sample: Sequence[Row], required: bool) -> str | None:
    if role == "path":
        return sound_column(free, sample) or known_column(free, PATH_NAMES)
    if found := known_column(free, _KNOWN[role]):
        return found
    if not required or not free:
        return None
    if role in ("start", "end"):
        return next((column for column in free if _numbers(column, sample)), None)
    return steadiest_column(free, sample) if role == "label" else longest_column(free, sample)


def _numbers(column: str, sample: Sequence[Row]) -> bool:
    cells = [cell for _, row in sample if (cell := row.get(column, "").strip())]
    return bool(cells) and all(map(is_number, cells))


def _wrong(cells: Mapping[str, str], required: Collection[str], columns: Mapping[str, str]) -> str:
    """What is wrong with a row, or nothing."""
    empty = [role for role in ("path", *required, *(["group"] if "group" in columns else [])) if not cells.get(role)]
    if empty:
        return f"its {empty[0]} (column {columns[empty[0]]!r}) is empty"
    times = []
    for role in ("start", "end"):
        cell = cells.get(role)
        if cell and not (is_number(cell) and math.isfinite(float(cell)) and float(cell) >= 0):
            return f"its {role} {cell!r} is no time in seconds"
        times.append(float(cell) if cell else None)
    start, end = times
    if end is not None and end <= (start or 0.0):
        return f"its end, {end:g} s, doesn't come after its start, {start or 0:g} s"
    return ""
