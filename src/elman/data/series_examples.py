"""Series of numbers and their classes: from files of the UCR and UEA archives, NumPy arrays, and tables with a row a step."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from elman.data.arrays import read_arrays
from elman.data.bad_rows import BadRows, check_enough
from elman.data.classes import MOST_CLASSES
from elman.data.examples import Reading
from elman.data.labelled_series import Columns, Found, Series
from elman.data.long_tables import read_long_table
from elman.data.missing import fill_missing
from elman.data.text import STANDARD_INPUT, Document, Source, find_files, name_of
from elman.data.ts_files import read_ts
from elman.errors import DataError


def read_series(
    sources: Sequence[Source],
    *,
    id: str | None = None,
    time: str | None = None,
    label: str | None = None,
    group: str | None = None,
    values: Sequence[str] = (),
    missing: str = "error",
    encoding: str = "utf-8",
    bad: BadRows,
    labelled: bool = True,
    training: bool = True,
) -> Reading[Series]:
    """Read series and their classes from

    - `.ts` files of the UCR and UEA archives (see `elman.data.ts_files`);
    - `.npz` files with arrays X (N, T, D) or (N, T) and y (N), and `.npy` files with X alone (see `elman.data.arrays`);
    - tables with a row a step (see `elman.data.long_tables`): `id` names the column that tells series apart, `time` that of
      the time, `label` that of the class, `group` one whose values are kept together, `values` those of the features;
    - folders of such files.

    Values that are missing or infinite are filled by the rule `missing` (see `elman.data.missing`). `labelled=False`: a label
    is None where it is absent. `training=False` (other parts): one class alone is no error. Bad rows: what the reader of each
    kind says. Raises `DataError` for missing columns or labels, series with another number of features than the first, one
    class only, and where nothing, or less than half, can be used.
    """
    columns = Columns(id, time, label, group, tuple(values))
    names, before = ", ".join(map(name_of, sources)), bad.count
    items: list[Series] = []
    understood: list[str] = []
    taken: dict[str, Any] = {}
    for file in _files(sources):
        found = _reader(file)(file, columns, encoding, bad)
        understood.append(found.understood)
        taken |= found.columns
        items += found.series
    kept = []
    for item in items:
        if labelled and item.label is None:
            raise DataError(
                f"{item.where} has no label: give a .ts file with classes, an .npz with y, or name --label."
            )
        if not len(item):
            bad.skip(item.where, "it has no steps")
            continue
        filled_TD = fill_missing(item.values_TD, missing, item.where)
        kept.append(Series(filled_TD, item.label, item.where, item.name, item.group))
    check_enough(
        names, len(kept), bad.count - before, bad, "there is no series" + (" with a label." if labelled else ".")
    )
    _check_alike(kept)
    if labelled:
        _check_classes(kept, names, training)
    return Reading(kept, "; ".join(dict.fromkeys(understood)), taken)


def _files(sources: Sequence[Source]) -> list[Source]:
    return list(
        itertools.chain.from_iterable(
            [source] if isinstance(source, Document) or str(source) == STANDARD_INPUT else find_files(Path(source))
            for source in sources
        )
    )


def _reader(file: Source) -> Callable[[Source, Columns, str, BadRows], Found]:
    suffix = Path(name_of(file)).suffix.lower()
    return {".ts": read_ts, ".npz": read_arrays, ".npy": read_arrays}.get(suffix, read_long_table)


def _check_alike(items: Sequence[Series]) -> None:
    features = items[0].values_TD.shape[1]
    for item in items:
        if item.values_TD.shape[1] != features:
            raise DataError(
                f"{item.where} has {item.values_TD.shape[1]} features, but {items[0].where} has {features}: series of one task "
                "have the same features."
            )


def _check_classes(items: Sequence[Series], names: str, training: bool) -> None:
    distinct = {item.label for item in items}
    if len(distinct) > MOST_CLASSES:
        raise DataError(
            f"{names}: the labels have {len(distinct):,} distinct values in {len(items):,} series: they look like numbers to "
            "forecast and not like classes. Name the column of the classes with --label."
        )
    if training and len(distinct) == 1:
        raise DataError(f"{names}: all series have the class {distinct.pop()!r}: there must be two classes at least.")
