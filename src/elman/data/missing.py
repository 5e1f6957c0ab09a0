"""Values that are missing from a series: what is put in their place, by a stated rule.

error         nothing: a series with a missing value can't be used
carry         the last value before it; where there is none, the first one after it
interpolate   the line between the values around it; beyond the last value, that value
"""

import numpy as np

from elman.errors import DataError

MISSING = ("error", "carry", "interpolate")


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
    filled_TD = np.empty(values_TD.shape, np.float32)
    steps_T = np.arange(len(values_TD))
    for place, (column_T, there_T) in enumerate(zip(values_TD.T, there_TD.T, strict=True)):
        known = np.flatnonzero(there_T)
        if not len(known):
            raise DataError(f"{where}: feature {place + 1} has no value at all, so none can be filled in.")
        if rule == "carry":
            filled_TD[:, place] = column_T[known[np.maximum(np.searchsorted(known, steps_T, side="right") - 1, 0)]]
        else:
            filled_TD[:, place] = np.interp(steps_T, known, column_T[known])
    return filled_TD
