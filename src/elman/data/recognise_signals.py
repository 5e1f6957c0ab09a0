"""Whether data is series with classes, or video: by names of files, columns, and what is in them."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from elman.data.bad_rows import BadRows
from elman.data.columns import known_column
from elman.data.delimited import LABEL_NAMES
from elman.data.labelled_series import Columns
from elman.data.lines import read_lines
from elman.data.long_tables import ID_NAMES, TIME_NAMES, long_columns
from elman.data.sound import is_sound
from elman.data.table import SAMPLE, Table, read_table, table_format
from elman.data.text import STANDARD_INPUT, Document, Source, find_files, name_of
from elman.data.video import is_video
from elman.data.videos import video_column, video_folders
from elman.errors import DataError

_FIRST = 200


def signals_task(sources: Sequence[Source], encoding: str) -> tuple[str, str] | None:
    """The task, and the reason, a sentence for the user; None if the data is neither.

    `.ts` files with the header of the UCR and UEA archives, `.npz` files with X → classify-series; so a table with columns that
    are called as an id and a time, whose label is the same in all rows of an id. A folder of folders of video, or a table of
    video files → classify-video.
    """
    if any(not isinstance(source, Document) and str(source) == STANDARD_INPUT for source in sources):
        return None
    for source in sources:
        if folders := video_folders(source):
            return "classify-video", f"{source} has {len(folders)} folders of video, so each is taken as a class."
    files = [
        file for source in sources for file in ([source] if isinstance(source, Document) else find_files(Path(source)))
    ]
    first = files[0]
    name = name_of(first)
    suffix = Path(name).suffix.lower()
    if suffix in (".npz", ".npy"):
        return "classify-series", f"{name} holds arrays, taken as series (X) and their classes (y)."
    if suffix == ".ts" and _is_archive(first, encoding):
        return "classify-series", f"{name} is a file of the time series archives."
    if not isinstance(first, Document) and is_video(name):
        return "classify-video", f"{name} is video."
    if is_sound(name) or table_format(first, encoding) is None:
        return None
    table = read_table(first, encoding=encoding, bad=BadRows())
    sample = list(itertools.islice(table.rows, SAMPLE))
    if column := video_column(table.columns, sample):
        return "classify-video", f"{name} is a table of video files (column {column!r})."
    return _long(Table(name, table.columns, iter(sample)), sample)


def _long(table: Table, sample: Sequence[tuple[str, dict[str, str]]]) -> tuple[str, str] | None:
    if any(known_column(table.columns, names) is None for names in (ID_NAMES, TIME_NAMES, LABEL_NAMES)):
        return None
    try:
        taken = long_columns(table, sample, Columns())
    except DataError:
        # Without a column of numbers there are no series.
        return None
    labels: dict[str, set[str]] = {}
    for _, row in sample:
        labels.setdefault(row.get(taken["id"], ""), set()).add(row.get(taken["label"], "").strip())
    if len(labels) == len(sample) or any(len(own) > 1 for own in labels.values()):
        return None
    return (
        "classify-series",
        f"{table.name} is a table with a row a step: series (column {taken['id']!r}), time (column {taken['time']!r}), and a "
        f"label for each series (column {taken['label']!r}).",
    )


def _is_archive(file: Source, encoding: str) -> bool:
    """TypeScript has the same ending."""
    lines = (line.text.strip() for line in itertools.islice(read_lines(file, encoding), _FIRST) if not line.wrong)
    return any(line.lower().startswith(("@problemname", "@classlabel", "@univariate", "@data")) for line in lines)
