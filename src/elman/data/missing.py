"""What is missing from a series, and what is put in its place, by a stated rule.

error         nothing: it is an error that says where
carry         the last value before it; before the first value, that one
interpolate   the line between its neighbours; beyond the first and the last value, those
"""

import numpy as np

from elman.errors import DataError

MISSING = ("error", "carry", "interpolate")


def fill(values_T: np.ndarray, rule: str) -> np.ndarray:
    """The values with what isn't finite replaced by "carry" or "interpolate". One of them at least is finite."""
    there = np.flatnonzero(np.isfinite(values_T))
    places_T = np.arange(len(values_T))
    if rule == "interpolate":
        return np.interp(places_T, there, values_T[there])
    before_T = np.searchsorted(there, places_T, side="right") - 1
    return values_T[there[before_T.clip(min=0)]]


def fill_missing(values_TD: np.ndarray, rule: str, where: str) -> np.ndarray:
    """The same values (T, D), float32, those that are NaN or infinite replaced by `rule`, one of `MISSING`.

    Raises `DataError`, naming `where` and the step, if the rule is "error", and for a feature that has no value at all.
    """
    there_TD = np.isfinite(values_TD)
    if there_TD.all():
        return values_TD.astype(np.float32, copy=False)
    step, feature = np.argwhere(~there_TD)[0]
    if rule == "error":
        raise DataError(
            f"{where}: a value is missing or not finite (step {step + 1}, feature {feature + 1}): mend it, or say how to fill "
            "such values with --missing carry or --missing interpolate."
        )
    empty = np.flatnonzero(~there_TD.any(0))
    if len(empty):
        raise DataError(f"{where}: feature {empty[0] + 1} has no value at all, so none can be filled in.")
    return np.stack([fill(column_T, rule) for column_T in values_TD.T], 1).astype(np.float32)


def on_grid(rows_TD: np.ndarray, places_T: np.ndarray) -> np.ndarray:
    """The rows at their places on the grid of steps, and NaN where a step has none."""
    full_TD = np.full((int(places_T[-1]) + 1, rows_TD.shape[1]), np.nan)
    full_TD[places_T.astype(np.int64)] = rows_TD
    return full_TD
