"""What is missing from a series, and what is put in its place, by a stated rule.

error         nothing: it is an error that names file and line
carry         the last value before it; before the first value, that one
interpolate   the line between its neighbours; beyond the first and the last value, those
"""

import numpy as np

RULES = ("error", "carry", "interpolate")


def fill(values_T: np.ndarray, rule: str) -> np.ndarray:
    """The values with what isn't finite replaced by "carry" or "interpolate". One of them at least is finite."""
    there = np.flatnonzero(np.isfinite(values_T))
    places_T = np.arange(len(values_T))
    if rule == "interpolate":
        return np.interp(places_T, there, values_T[there])
    before_T = np.searchsorted(there, places_T, side="right") - 1
    return values_T[there[before_T.clip(min=0)]]


def on_grid(rows_TD: np.ndarray, places_T: np.ndarray) -> np.ndarray:
    """The rows at their places on the grid of steps, and NaN where a step has none."""
    full_TD = np.full((int(places_T[-1]) + 1, rows_TD.shape[1]), np.nan)
    full_TD[places_T.astype(np.int64)] = rows_TD
    return full_TD
