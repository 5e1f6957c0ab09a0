"""Series as NumPy arrays: `.npz` with X and y, `.npy` with X alone; X (N, T, D), or (N, T) for one feature.

Series shorter than T end with steps of NaN in all features: those are no steps. Nothing is unpickled, ever.
"""

import zipfile
from pathlib import Path

import numpy as np

from elman.data.bad_rows import BadRows
from elman.data.labelled_series import Columns, Found, Series
from elman.data.text import Document, Source, name_of
from elman.errors import DataError


def read_arrays(source: Source, columns: Columns, encoding: str, bad: BadRows) -> Found:  # noqa: ARG001
    """The series of a file, and of y their classes. Raises `DataError` for what can't be read, arrays of another shape or kind,
    and X and y of different lengths."""
    if isinstance(source, Document):
        raise DataError(f"{source.name} is called a NumPy file but was given as text: give the file itself.")
    name = name_of(source)
    x, labels = _load(Path(source), name)
    if x.ndim == 2:
        x = x[..., None]
    if x.ndim != 3 or not x.shape[2]:
        raise DataError(f"{name}: X has the shape {x.shape}: it must be (series, steps, features), or (series, steps).")
    if x.dtype.kind not in "fiub":
        raise DataError(f"{name}: X holds values of the kind {x.dtype}: it must hold numbers.")
    if labels is not None and labels.shape != (len(x),):
        raise DataError(
            f"{name}: y has the shape {labels.shape}: it must hold a label for each of the {len(x)} series of X."
        )
    x_NTD = x.astype(np.float32, copy=False)
    ends_N = _ends(x_NTD)
    series = [
        Series(values[:end], None if labels is None else str(labels[row]), f"{name}, row {row + 1}", str(row + 1))
        for row, (values, end) in enumerate(zip(x_NTD, ends_N, strict=True))
    ]
    return Found(
        series, f"arrays of {x.shape[1]} steps with {x.shape[2]} features" + ("" if labels is None else " and y")
    )


def _load(path: Path, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        with path.open("rb") as file:
            # Without being told otherwise, NumPy refuses what is pickled.
            loaded = np.load(file)
            if isinstance(loaded, np.ndarray):
                return loaded, None
            by_name = {key.lower(): key for key in loaded.files}
            if "x" in by_name:
                return loaded[by_name["x"]], loaded[by_name["y"]] if "y" in by_name else None
    except OSError as error:
        raise DataError(f"{name} can't be read: {error.strerror or error}.") from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{name} is damaged, or holds objects in place of numbers ({error}): write it by numpy.savez."
        ) from error
    held = ", ".join(loaded.files) or "nothing"
    raise DataError(f"{name} holds {held}, but no array X: write it by numpy.savez(path, X=…, y=…).")


def _ends(x_NTD: np.ndarray) -> np.ndarray:
    """How many steps each series has, without those of NaN alone at its end."""
    there_NT = ~np.isnan(x_NTD).all(-1)
    return np.where(there_NT.any(1), x_NTD.shape[1] - there_NT[:, ::-1].argmax(1), 0)
