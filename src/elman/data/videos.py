"""Clips of video and their classes, from tables of paths and labels, or from a folder a class."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from elman.data.bad_rows import BadRows, check_enough
from elman.data.columns import has_column, known_column, label_column, named_column
from elman.data.delimited import LABEL_NAMES
from elman.data.examples import Reading
from elman.data.signals import Cache, read_all
from elman.data.table import SAMPLE, Row, Table, read_table
from elman.data.text import STANDARD_INPUT, Document, Source, find_files, name_of
from elman.data.video import FrameForm, check_library, has_colours, is_video, read_video
from elman.errors import DataError

PATH_NAMES = ("path", "file", "filename", "file_name", "filepath", "video", "video_path", "video_file", "clip", "movie")
_WHOLE = FrameForm()
# So many clips are looked at for colours.
_LOOKED_AT = 20


@dataclass(frozen=True)
class Film:
    """A video file and its class, or None where that isn't known; a signal, whose pictures are decoded when they are wanted.

    steps   how many pictures are taken of it        digest   a hash of these
    group   what it is kept together with, in a split
    form    how pictures are taken                     cache    where they stay if there is room
    """

    path: str
    label: str | None
    where: str
    group: str = ""
    steps: int = 0
    digest: str = ""
    form: FrameForm = _WHOLE
    cache: Cache = field(default_factory=lambda: Cache(0), repr=False, compare=False)

    def __len__(self) -> int:
        return self.steps

    def frames(self) -> np.ndarray:
        """The pictures (T, C, height, width), uint8. Raises `DataError` if the file can't be read any more."""
        return self.cache.get(self.path, lambda: read_video(self.path, self.form))

    @property
    def fingerprint(self) -> str:
        """What of it is learnt from."""
        return repr((self.label, self.group, self.digest))


def read_film(film: Film) -> Film:
    """The film with its length and hash, decoded once. Raises `DataError` if it can't be read."""
    pictures = film.frames()
    return replace(film, steps=len(pictures), digest=blake2b(pictures.tobytes(), digest_size=16).hexdigest())


def read_films(
    sources: Sequence[Source],
    *,
    form: FrameForm,
    cache: Cache,
    path: str | None = None,
    label: str | None = None,
    group: str | None = None,
    encoding: str = "utf-8",
    bad: BadRows,
    labelled: bool = True,
    training: bool = True,
) -> Reading[Film]:
    """Read clips and their classes from

    - tables (see `read_table`) with columns of paths, relative to the table's folder, and of labels;
    - a folder with a subfolder a class, in which each video, however deep, is a clip; or a folder of tables;
    - `labelled=False`: video files and folders of them too; a label is None where it is absent.

    Columns are those that are named; else paths are those whose cells are called as video files, or the column has a usual
    name, and so have labels. Every clip is decoded once, so that one that can't be used is a bad row now, and no end of a run
    after hours; what there is room for stays in the cache. Bad rows: an empty cell, what `read_video` refuses, and those of
    `read_table`. Raises `DataError` for missing columns, one class only, and where nothing, or less than half, can be used.
    """
    check_library(", ".join(map(name_of, sources)))
    before, items, said, taken = bad.count, list[Film](), list[str](), dict[str, Any]()
    asked = {"path": path, "label": label, "group": group}
    for source in sources:
        if labelled and (folders := video_folders(source)):
            items += [_film(file, own.name) for own in folders for file in _videos(own)]
            said.append(f"a class a folder ({len(folders)}), with a clip a file")
        elif not labelled and (files := _videos(source)):
            items += [_film(file, None) for file in files]
        else:
            for table in _tables(source):
                found, columns = _from_table(table, {**asked, **taken}, encoding, bad, labelled)
                items += found
                taken |= {role: column for role, column in columns.items() if role != "group"}
                said.append(", ".join(f"the {role} is column {column!r}" for role, column in columns.items()))
    if form.grey is None:
        form = replace(form, grey=not _have_colours(items))
    kept = _checked([replace(item, form=form, cache=cache) for item in items], bad)
    names = ", ".join(map(name_of, sources))
    remedy = "there is no video that can be read" + (" with its label." if labelled else ".")
    check_enough(names, len(kept), bad.count - before, bad, remedy)
    distinct = {item.label for item in kept}
    if labelled and training and len(distinct) == 1:
        raise DataError(f"{names}: all clips have the class {distinct.pop()!r}: there must be two classes at least.")
    return Reading(kept, "; ".join(dict.fromkeys(said)), taken)


def video_folders(source: Source) -> list[Path]:
    """The subfolders of a folder that hold video, in order of name: a class each."""
    if isinstance(source, Document) or str(source) == STANDARD_INPUT or not Path(source).is_dir():
        return []
    root = Path(source)
    return sorted({root / file.relative_to(root).parts[0] for file in _videos(root) if file.parent != root})


def _videos(source: Source) -> list[Path]:
    """The video files that a source names: itself, or those in a folder."""
    if isinstance(source, Document) or str(source) == STANDARD_INPUT:
        return []
    return [file for file in find_files(Path(source)) if is_video(file)]


def _tables(source: Source) -> list[Source]:
    if isinstance(source, Document) or str(source) == STANDARD_INPUT:
        return [source]
    if is_video(str(source)):
        raise DataError(f"{source} is video without a label: give a table with a column of paths, or a folder a class.")
    files = [file for file in find_files(Path(source)) if not is_video(file)]
    if not files:
        raise DataError(
            f"the folder {source} holds no table: give one with columns of paths and labels, or a folder a class."
        )
    return list(files)


def _from_table(
    source: Source, asked: dict[str, str | None], encoding: str, bad: BadRows, labelled: bool
) -> tuple[list[Film], dict[str, str]]:
    names = [name for name in asked.values() if name]
    table = read_table(source, encoding=encoding, bad=bad, asked=[*names, *PATH_NAMES, *LABEL_NAMES])
    sample = list(itertools.islice(table.rows, SAMPLE))
    columns = _columns(table, sample, asked, labelled)
    folder = Path() if isinstance(source, Document) or str(source) == STANDARD_INPUT else Path(source).parent
    items = []
    for where, row in itertools.chain(sample, table.rows):
        cells = {role: row.get(column, "").strip() for role, column in columns.items()}
        empty = next((role for role, cell in cells.items() if not cell and (labelled or role == "path")), None)
        if empty:
            bad.skip(where, f"its {empty} (column {columns[empty]!r}) is empty")
        else:
            film = Film(str(folder / cells["path"]), cells.get("label") or None, where, cells.get("group", ""))
            items.append(film)
    return items, columns


def _columns(table: Table, sample: Sequence[Row], asked: dict[str, str | None], labelled: bool) -> dict[str, str]:
    path, label, group = asked["path"], asked["label"], asked["group"]
    found = named_column(table, path, "path") if path is not None else video_column(table.columns, sample)
    found = found or known_column(table.columns, PATH_NAMES)
    if found is None:
        raise DataError(
            f"{table.name} has the columns {', '.join(table.columns)}: none of them looks like paths of video. Name it with "
            "--path."
        )
    columns = {"path": found}
    if labelled:
        columns["label"] = label_column(table, sample, label, found)
    elif label is not None and has_column(table, label):
        columns["label"] = named_column(table, label, "label")
    if group is not None and labelled:
        columns["group"] = named_column(table, group, "group")
    return columns


def video_column(columns: Sequence[str], sample: Sequence[Row]) -> str | None:
    """The first column at least half of whose cells are called as video files, or None."""
    return next(
        (one for one in columns if sample and 2 * sum(is_video(row.get(one, "")) for _, row in sample) >= len(sample)),
        None,
    )


def _film(file: Path, label: str | None) -> Film:
    return Film(str(file), label, str(file))


def _have_colours(items: Sequence[Film]) -> bool:
    """Whether one of some clips from all over the list has colours; those that can't be read have none."""
    for item in items[:: max(1, len(items) // _LOOKED_AT)]:
        try:
            if has_colours(item.path):
                return True
        except DataError:
            # It is a bad row when it is decoded, with the reason.
            continue
    return False


def _checked(items: list[Film], bad: BadRows) -> list[Film]:
    """The films that can be read; decoded side by side, noted in order."""

    def tried(item: Film) -> Film | DataError:
        try:
            return read_film(item)
        except DataError as error:
            return error

    kept = []
    for item, found in zip(items, read_all(items, tried), strict=True):
        if isinstance(found, DataError):
            bad.skip(item.where, str(found).rstrip(".").removeprefix(f"{item.where} "))
        else:
            kept.append(found)
    return kept
