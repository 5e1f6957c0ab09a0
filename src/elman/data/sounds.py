"""Sounds and what is in them, from tables, from a folder a class, from files.

    path, label               a class a file            path, text     what is said in a file
    path, start, end, label   a class, or a text, of a part of a file (`read_clips`), or what is heard when (`read_recordings`)

Paths are relative to the table's own folder. Every file is read through once before anything is learnt, so that one that
can't be used is a bad row now and no end of a run after hours.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from elman.data.bad_rows import BadRows, check_enough
from elman.data.examples import Clip, Event, Reading, Recording
from elman.data.sound import check_libraries, is_sound, read_sound, sound_rate
from elman.data.sound_columns import read_cells
from elman.data.text import STANDARD_INPUT, Document, Source, find_files, name_of
from elman.errors import DataError

_WORKERS = 4
_REMEDY = "there is no sound that can be read{}."

Sounding = TypeVar("Sounding", Clip, Recording)


def read_clips(
    sources: Sequence[Source],
    *,
    path: str | None = None,
    label: str | None = None,
    text: str | None = None,
    start: str | None = None,
    end: str | None = None,
    group: str | None = None,
    spoken: bool = False,
    encoding: str = "utf-8",
    bad: BadRows,
    labelled: bool = True,
) -> Reading[Clip]:
    """Read sounds with their class, or if `spoken` with what is said in them, from

    - tables (see `read_table`) with columns of paths and of labels or texts, perhaps of start and end in seconds;
    - a folder with a subfolder a class (not if `spoken`), or a folder of tables;
    - `labelled=False`: sound files and folders of them too; a label is None where it is absent.

    Columns are those that are named, else guessed as `elman.data.sound_columns` says.
    Bad rows: an empty cell, times that make no sense, a file that is no sound, silent, … (see `read_sound`), and those of
    `read_table`. Raises `DataError` for missing columns, one class only, and where nothing, or less than half, can be used.
    """
    asked = {
        "path": path,
        "start": start,
        "end": end,
        "text" if spoken else "label": text if spoken else label,
        "group": group,
    }
    before = bad.count
    reading = _gather(sources, asked, encoding, bad, labelled)
    kept = _checked(reading.items, bad, _inspect_clip)
    what = f" with its {'text' if spoken else 'label'}" if labelled else ""
    check_enough(", ".join(map(name_of, sources)), len(kept), bad.count - before, bad, _REMEDY.format(what))
    return replace(reading, items=kept)


def find_clips(
    sources: Sequence[Source], *, path: str | None = None, encoding: str = "utf-8", bad: BadRows
) -> list[Clip]:
    """The clips that `read_clips` gives without labels, their files not yet looked at."""
    return _gather(sources, {"path": path, "start": None, "end": None}, encoding, bad, labelled=False).items


def _gather(
    sources: Sequence[Source], asked: dict[str, str | None], encoding: str, bad: BadRows, labelled: bool
) -> Reading[Clip]:
    check_libraries(", ".join(map(name_of, sources)))
    value = next((role for role in ("label", "text") if role in asked), "label")
    items, said, columns = list[Clip](), list[str](), dict[str, str]()
    for source in sources:
        if labelled and value == "label" and (folders := sound_folders(source)):
            items += [
                Clip(str(file), folder.name, str(file))
                for folder in folders
                for file in find_files(folder)
                if is_sound(file)
            ]
            said.append(f"a class a folder ({len(folders)}), with a sound a file")
        elif not labelled and (files := _sounds(source)):
            items += [Clip(str(file), None, str(file)) for file in files]
        else:
            for table in _tables(source, labelled):
                required = ("path", value) if labelled else ("path",)
                found, taken, told = read_cells(table, {**asked, **columns}, required, encoding, bad)
                items += [
                    Clip(cells["path"], cells[value], cells["where"], cells["start"], cells["end"], cells["group"])
                    for cells in found
                ]
                columns |= taken
                said.append(told)
    return Reading(items, "; ".join(dict.fromkeys(said)), _lasting(columns))


def read_recordings(
    sources: Sequence[Source],
    *,
    path: str | None = None,
    label: str | None = None,
    start: str | None = None,
    end: str | None = None,
    group: str | None = None,
    encoding: str = "utf-8",
    bad: BadRows,
    labelled: bool = True,
) -> Reading[Recording]:
    """Read sounds with what is heard in them when, from tables with a row an event: path, start, end, label.

    A row without start, end and label says that nothing is heard in a file. `labelled=False`: sound files and folders of them
    too. Bad rows are those of `read_clips`, and an event that overlaps one before it in the same file.
    """
    check_libraries(", ".join(map(name_of, sources)))
    asked = {"path": path, "start": start, "end": end, "label": label, "group": group}
    before, said, columns = bad.count, list[str](), dict[str, str]()
    rows: list[dict[str, Any]] = []
    for source in sources:
        if not labelled and (files := _sounds(source)):
            rows += [{"path": str(file), "where": str(file), "group": ""} for file in files]
            continue
        for table in _tables(source, labelled):
            required = ("path", "start", "end", "label") if labelled else ("path",)
            found, taken, told = read_cells(table, {**asked, **columns}, required, encoding, bad, silent_rows=True)
            rows += found
            columns |= taken
            said.append(told)
    together: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        together.setdefault(row["path"], []).append(row)
    items = [
        Recording(name, _events(own, bad) if labelled else None, own[0]["where"], own[0]["group"])
        for name, own in together.items()
    ]
    kept = [_within(item, bad) for item in _checked(items, bad, _inspect_recording)]
    names = ", ".join(map(name_of, sources))
    check_enough(names, len(kept), bad.count - before, bad, _REMEDY.format(" with its events" if labelled else ""))
    return Reading(kept, "; ".join(dict.fromkeys(said)), _lasting(columns))


def _lasting(columns: dict[str, str]) -> dict[str, str]:
    """Those that other parts have too: groups matter where a part is held out alone."""
    return {role: column for role, column in columns.items() if role != "group"}


def group_of(item: Clip | Recording) -> str:
    """What is kept together in a split: the group that a column names, else the file."""
    return item.group or item.path


def sound_folders(source: Source) -> list[Path]:
    """The subfolders of a folder that hold sound, in order of name: a class each."""
    if isinstance(source, Document) or not Path(source).is_dir():
        return []
    root = Path(source)
    return sorted(
        {root / file.relative_to(root).parts[0] for file in find_files(root) if is_sound(file) and file.parent != root}
    )


def _sounds(source: Source) -> list[Path]:
    """The sound files that a source names: itself, or those in a folder."""
    if isinstance(source, Document) or str(source) == STANDARD_INPUT:
        return []
    if not Path(source).is_dir():
        return [Path(source)] if is_sound(str(source)) else []
    return [file for file in find_files(Path(source)) if is_sound(file)]


def _tables(source: Source, labelled: bool) -> list[Source]:
    """The tables that a source names: itself, or those in a folder. Raises `DataError` for a sound in place of one."""
    if isinstance(source, Document) or str(source) == STANDARD_INPUT:
        return [source]
    if is_sound(str(source)) and labelled:
        raise DataError(f"{source} is sound without a label: give a table with a column of paths, or a folder a class.")
    files = [file for file in find_files(Path(source)) if not is_sound(file)] if Path(source).is_dir() else [source]
    if not files:
        raise DataError(f"the folder {source} holds no table: give one with a column of paths beside what is in them.")
    return list(files)


def _events(rows: Sequence[dict[str, Any]], bad: BadRows) -> tuple[Event, ...]:
    """The events of a file in order of time; neighbours of the same label that overlap or touch are one."""
    events: list[Event] = []
    timed = [row for row in rows if row["label"] is not None]
    for row in sorted(timed, key=lambda row: (row["start"], row["end"])):
        event = Event(row["start"], row["end"], row["label"])
        if events and event.start < events[-1].end:
            if event.label != events[-1].label:
                bad.skip(row["where"], f"it overlaps the event before it ({events[-1].label!r}): a time has one label")
                continue
            event = Event(events[-1].start, max(events.pop().end, event.end), event.label)
        events.append(event)
    return tuple(events)


def _checked(items: list[Sounding], bad: BadRows, inspect: Callable[[Sounding], Sounding]) -> list[Sounding]:
    """The items whose sound can be read, with its length and hash; read side by side, noted in order."""

    def tried(item: Sounding) -> Sounding | DataError:
        try:
            return inspect(item)
        except DataError as error:
            return error

    kept = []
    with ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1), thread_name_prefix="elman-sound") as workers:
        for item, found in zip(items, workers.map(tried, items), strict=True):
            if isinstance(found, DataError):
                wrong = str(found).rstrip(".")
                bad.skip(item.where, wrong.removeprefix(f"{item.where} "))
            else:
                kept.append(found)
    return kept


def _inspect_clip(clip: Clip) -> Clip:
    rate = sound_rate(clip.path)
    samples_N = read_sound(clip.path, rate, clip.start, clip.end)
    return replace(clip, seconds=len(samples_N) / rate, digest=_hash(samples_N))


def _inspect_recording(recording: Recording) -> Recording:
    rate = sound_rate(recording.path)
    samples_N = read_sound(recording.path, rate)
    return replace(recording, seconds=len(samples_N) / rate, digest=_hash(samples_N))


def _within(recording: Recording, bad: BadRows) -> Recording:
    """The recording without events that end after it."""
    kept = []
    for event in recording.events or ():
        # Times in tables are rounded.
        if event.end <= recording.seconds + 0.01:
            kept.append(event)
        else:
            wrong = f"it lasts {recording.seconds:.3f} s: the event {event.label!r} can't end at {event.end:g} s"
            bad.skip(recording.path, wrong)
    return recording if recording.events is None else replace(recording, events=tuple(kept))


def _hash(samples_N: np.ndarray) -> str:
    return blake2b(samples_N.tobytes(), digest_size=16).hexdigest()
